// Which pairing requests wait, and which are given up when there are too many: in one network, and in all, those that nobody has
// asked for the longest time. A device that waits asks every second, so it is never among them, not even in the network of somebody
// who makes requests as fast as the limits permit. In memory and as large as the table; a restart knows the keys, not their networks.

/** Requests of all networks that wait, of one kind. */
const MAX_WAITING = 100_000;

export class WaitingPairings {
  /** Key -> network; asked least lately first. */
  readonly #networks = new Map<string, string>();
  /** Of each network, asked least lately first. */
  readonly #keys = new Map<string, Set<string>>();

  constructor(private readonly maximum = MAX_WAITING) {}

  has(key: string): boolean {
    return this.#networks.has(key);
  }

  /** @returns the keys that are given up for this one. */
  add(key: string, network: string, limit: number): string[] {
    this.#place(key, network);
    const own = this.#keys.get(network) ?? new Set();
    const givenUp: string[] = [];
    for (const oldest of own) {
      if (own.size <= limit || oldest === key) break;
      this.remove(oldest);
      givenUp.push(oldest);
    }
    for (const oldest of this.#networks.keys()) {
      if (this.#networks.size <= this.maximum) break;
      this.remove(oldest);
      givenUp.push(oldest);
    }
    return givenUp;
  }

  /** Somebody asks for one that waits, perhaps from another network than before. */
  asked(key: string, network: string): void {
    if (!this.#networks.has(key)) return;
    this.remove(key);
    this.#place(key, network);
  }

  /** It waits no longer. */
  remove(key: string): void {
    const network = this.#networks.get(key);
    if (network === undefined) return;
    this.#networks.delete(key);
    const own = this.#keys.get(network);
    own?.delete(key);
    if (own?.size === 0) this.#keys.delete(network);
  }

  get size(): number {
    return this.#networks.size;
  }

  /** Those of one network. */
  sizeOf(network: string): number {
    return this.#keys.get(network)?.size ?? 0;
  }

  #place(key: string, network: string): void {
    this.remove(key);
    this.#networks.set(key, network);
    const own = this.#keys.get(network) ?? new Set();
    this.#keys.set(network, own.add(key));
  }
}
