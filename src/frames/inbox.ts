// Messages of one client, strictly one after another: while a handler works, the next ones wait, within a bound of their number and
// of the hub's memory. Clients do not wait for each other.
import type { QueueBudget } from "./queue-budget.ts";

/** Messages of one client that may wait for a handler. */
const MAX_WAITING = 256;

/** What a waiting message costs beside its own bytes; a text may take two a character. */
const OVERHEAD = 128;

export class Inbox<T extends string | Uint8Array> {
  readonly #waiting: T[] = [];
  #busy = false;

  /** `handle` must not throw. A handler that is done at once costs no promise. */
  constructor(
    private readonly handle: (item: T) => void | Promise<void>,
    private readonly budget: QueueBudget,
  ) {}

  /** False when too many wait already; the item is not handled then. */
  accept(item: T): boolean {
    if (this.#busy) {
      if (this.#waiting.length >= MAX_WAITING || !this.budget.reserve(cost(item))) return false;
      this.#waiting.push(item);
      return true;
    }
    const working = this.handle(item);
    if (working !== undefined) void this.#work(working);
    return true;
  }

  /** What waits is not handled any more. */
  close(): void {
    for (const item of this.#waiting.splice(0)) this.budget.giveBack(cost(item));
  }

  async #work(first: Promise<void>): Promise<void> {
    this.#busy = true;
    await first;
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      this.budget.giveBack(cost(next));
      await this.handle(next);
    }
    this.#busy = false;
  }
}

const cost = (item: string | Uint8Array) =>
  OVERHEAD + (typeof item === "string" ? 2 * item.length : item.byteLength);
