// The network between attackers and the server. Over a machine's own loopback a sender reaches several gigabytes a second, and brings
// into one turn of the server's event loop what no network brings; bounds that are looked at every few milliseconds are for networks.

/** 4 Gbit/s: more than a small server's network card. */
const BYTES_PER_SECOND = 500_000_000;
const MS_PER_SECOND = 1_000;
/** A shorter wait is made up for by the next. */
const LEAST_WAIT_MS = 2;

/** One for all senders of an attack. */
export class Network {
  #freeAtMs = 0;

  /** Resolves when it is the turn of these bytes, in the order of the calls. */
  async carry(bytes: number): Promise<void> {
    const now = performance.now();
    const begin = Math.max(now, this.#freeAtMs);
    this.#freeAtMs = begin + (bytes / BYTES_PER_SECOND) * MS_PER_SECOND;
    if (begin - now >= LEAST_WAIT_MS) await Bun.sleep(begin - now);
  }
}
