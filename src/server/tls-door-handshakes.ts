// Handshakes that are under way: each within a time, all within a number. Where there are too many, the longest of the network that
// holds most makes way, so that who stalls by the hundred keeps nobody else out.
import { networkOf } from "../limits/network.ts";

interface Handshake {
  readonly network: string;
  readonly timer: Timer;
  readonly end: () => void;
}

export interface HandshakesParts {
  readonly most: number;
  readonly withinMs: number;
}

export class TlsHandshakes<Key extends object> {
  /** The longest first. */
  readonly #waiting = new Map<Key, Handshake>();

  constructor(private readonly parts: HandshakesParts) {}

  get size(): number {
    return this.#waiting.size;
  }

  get isFull(): boolean {
    return this.#waiting.size >= this.parts.most;
  }

  /** `end` is called once, when its time is over or it has to make way. */
  begin(key: Key, address: string, end: () => void): void {
    const timer = setTimeout(() => this.#end(key), this.parts.withinMs);
    this.#waiting.set(key, { network: networkOf(address), timer, end });
  }

  /** It is over, in whatever way. */
  over(key: Key): boolean {
    clearTimeout(this.#waiting.get(key)?.timer);
    return this.#waiting.delete(key);
  }

  /** @returns the network that lost one; undefined when nothing is under way. */
  makeWay(): string | undefined {
    const counts = new Map<string, { readonly longest: Key; count: number }>();
    for (const [key, { network }] of this.#waiting) {
      const known = counts.get(network);
      if (known === undefined) counts.set(network, { longest: key, count: 1 });
      else known.count++;
    }
    let most: { readonly network: string; readonly longest: Key; readonly count: number } | undefined;
    for (const [network, one] of counts)
      if (most === undefined || one.count > most.count) most = { network, ...one };
    if (most !== undefined) this.#end(most.longest);
    return most?.network;
  }

  stop(): void {
    for (const key of [...this.#waiting.keys()]) this.#end(key);
  }

  #end(key: Key): void {
    const handshake = this.#waiting.get(key);
    if (this.over(key)) handshake?.end();
  }
}
