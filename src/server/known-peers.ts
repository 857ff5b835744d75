// Connections that carried a request of an account, by the address and port of their other end. Remembered for longer than a connection
// may be silent, then forgotten; in memory and bounded.

const MAX_PEERS = 16_384;
const FORGET_MS = 15 * 60_000;
/** Within this time a peer is not noted again: every request asks. */
const NOTED_MS = 60_000;

export class KnownPeers {
  /** Least lately noted first. */
  readonly #peers = new Map<string, number>();

  constructor(private readonly now: () => number = () => performance.now()) {}

  note(address: string, port: number): void {
    const key = keyOf(address, port);
    const now = this.now();
    const at = this.#peers.get(key);
    if (at !== undefined) {
      if (now - at < NOTED_MS) return;
      this.#peers.delete(key);
    }
    this.#peers.set(key, now);
    if (this.#peers.size > MAX_PEERS) this.#forget(now, 1);
  }

  has(address: string, port: number): boolean {
    return this.#peers.has(keyOf(address, port));
  }

  /** Forgets the old ones. */
  sweep(): void {
    this.#forget(this.now(), 0);
  }

  get size(): number {
    return this.#peers.size;
  }

  #forget(now: number, surplus: number): void {
    let left = surplus;
    for (const [key, at] of this.#peers) {
      if (left-- <= 0 && now - at < FORGET_MS) return;
      this.#peers.delete(key);
    }
  }
}

/** One end of a connection as a key. */
export const keyOf = (address: string, port: number) => `${port} ${address}`;
