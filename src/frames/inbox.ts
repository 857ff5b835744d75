// Messages of one client, strictly one after another: while a handler works, the next ones wait, within a bound. Clients do not wait
// for each other.

/** Messages of one client that may wait for a handler. */
const MAX_WAITING = 256;

export class Inbox<T> {
  readonly #waiting: T[] = [];
  #busy = false;

  /** `handle` must not throw. A handler that is done at once costs no promise. */
  constructor(private readonly handle: (item: T) => void | Promise<void>) {}

  /** False when too many wait already; the item is not handled then. */
  accept(item: T): boolean {
    if (this.#busy) {
      if (this.#waiting.length >= MAX_WAITING) return false;
      this.#waiting.push(item);
      return true;
    }
    const working = this.handle(item);
    if (working !== undefined) void this.#work(working);
    return true;
  }

  /** What waits is not handled any more. */
  close(): void {
    this.#waiting.length = 0;
  }

  async #work(first: Promise<void>): Promise<void> {
    this.#busy = true;
    await first;
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift())
      await this.handle(next);
    this.#busy = false;
  }
}
