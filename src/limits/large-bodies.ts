// Large request bodies are read side by side but handled one at a time, the accounts that wait in turn: what parsing and storing one
// costs in memory is needed once, and one account's uploads do not stand in front of everybody's.
import { OverBudget } from "./body-budget.ts";

/** A larger one waits for its turn. */
export const LARGE_BODY_BYTES = 4 * 1024 * 1024;

/** Longer than any one takes; whoever waits so long is asked to come again. */
const WAIT_MS = 30_000;
/** Their bytes are bounded by the budget of bodies; this is the bound of their number. */
const MAX_WAITING = 64;

/** What a larger one left behind is collected before the next comes. */
const COLLECTED_BYTES = 16 * 1024 * 1024;

export class LargeBodies {
  #busy = false;
  #waiting = 0;
  /** In the order in which their accounts are served next. */
  readonly #queues = new Map<string, (() => void)[]>();

  constructor(private readonly waitMs: number = WAIT_MS) {}

  /** For a body of so many bytes. @returns how to end the turn. @throws OverBudget when too many wait, or it took too long. */
  async turn(account: string, bytes = 0): Promise<() => void> {
    if (this.#busy) await this.#wait(account);
    this.#busy = true;
    let ended = false;
    return () => {
      if (ended) return;
      ended = true;
      if (bytes <= COLLECTED_BYTES) return this.#next();
      // In a turn without the request: what it used is free, and the next one does not come on top of it.
      setImmediate(() => {
        Bun.gc(true);
        this.#next();
      });
    };
  }

  #wait(account: string): Promise<void> {
    if (this.#waiting >= MAX_WAITING) throw new OverBudget();
    this.#waiting++;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const go = () => {
      this.#waiting--;
      clearTimeout(timer);
      resolve();
    };
    const timer = setTimeout(() => {
      const queue = this.#queues.get(account);
      const at = queue?.indexOf(go) ?? -1;
      if (queue === undefined || at < 0) return;
      queue.splice(at, 1);
      if (queue.length === 0) this.#queues.delete(account);
      this.#waiting--;
      reject(new OverBudget());
    }, this.waitMs);
    const queue = this.#queues.get(account);
    if (queue === undefined) this.#queues.set(account, [go]);
    else queue.push(go);
    return promise;
  }

  #next(): void {
    for (const [account, queue] of this.#queues) {
      const go = queue.shift();
      // The account goes to the end of the line.
      this.#queues.delete(account);
      if (queue.length > 0) this.#queues.set(account, queue);
      if (go === undefined) continue;
      // Nobody slips in between: it stays busy.
      go();
      return;
    }
    this.#busy = false;
  }
}
