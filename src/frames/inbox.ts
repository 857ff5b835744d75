// Messages of one client, strictly one after another: while a handler works, or the turn of the event loop is used up, the next ones
// wait, within the hub's memory. Clients do not wait for each other's handlers.
import type { Pace } from "./pace.ts";
import type { QueueBudget } from "./queue-budget.ts";
import { memoryOf } from "./queued-frame.ts";

/** Messages of one client that may wait for a handler. */
const MAX_WAITING = 256;
export interface InboxParts<T> {
  /** Must not throw. A handler that is done at once costs no promise. */
  readonly handle: (item: T) => void | Promise<void>;
  readonly budget: QueueBudget;
  readonly pace: Pace;
}

export class Inbox<T extends string | Uint8Array> {
  readonly #waiting: T[] = [];
  #state: "idle" | "handling" | "paced" = "idle";

  constructor(private readonly parts: InboxParts<T>) {}

  /** False when too many wait already; the item is not handled then. */
  accept(item: T): boolean {
    const { pace, handle } = this.parts;
    if (this.#state === "idle" && !pace.spent) {
      const working = handle(item);
      if (working !== undefined) void this.#work(working);
      return true;
    }
    if (this.#state === "handling" && this.#waiting.length >= MAX_WAITING) return false;
    if (!this.parts.budget.reserve(memoryOf(item))) return false;
    this.#waiting.push(item);
    if (this.#state === "idle") void this.#work(undefined);
    return true;
  }

  /** What waits is not handled any more. */
  close(): void {
    for (const item of this.#waiting.splice(0)) this.parts.budget.unreserve(memoryOf(item));
  }

  async #work(first: Promise<void> | undefined): Promise<void> {
    const { pace, handle, budget } = this.parts;
    this.#state = "handling";
    await first;
    while (this.#waiting.length > 0) {
      if (pace.spent) {
        this.#state = "paced";
        await pace.nextTurn();
        continue;
      }
      this.#state = "handling";
      const next = this.#waiting.shift();
      if (next === undefined) break;
      budget.unreserve(memoryOf(next));
      await handle(next);
    }
    this.#state = "idle";
  }
}
