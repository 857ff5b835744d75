// Who follows which task (contract 13.5). A subscriber that is far behind loses progress in between, never the end.
import { isFinal, type Task } from "./task.ts";

/** That wait for one subscriber. */
const MAX_WAITING = 1_000;

export class Subscription {
  readonly #waiting: Task[] = [];
  #wake: (() => void) | undefined;

  constructor(readonly leave: () => void) {}

  push(task: Task): void {
    if (this.#waiting.length >= MAX_WAITING) {
      const at = this.#waiting.findIndex((one) => !isFinal(one));
      this.#waiting.splice(Math.max(0, at), 1);
    }
    this.#waiting.push(task);
    this.#wake?.();
  }

  /** Undefined when `signal` fires. For one reader. */
  async next(signal: AbortSignal): Promise<Task | undefined> {
    for (;;) {
      if (signal.aborted) return undefined;
      const task = this.#waiting.shift();
      if (task !== undefined) return task;
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      const ended = () => resolve();
      signal.addEventListener("abort", ended, { once: true });
      await promise;
      // One that follows for long waits often.
      signal.removeEventListener("abort", ended);
      this.#wake = undefined;
    }
  }
}

export class Subscriptions {
  readonly #byTask = new Map<string, Set<Subscription>>();

  /** Tasks that somebody follows. */
  ids(): string[] {
    return [...this.#byTask.keys()];
  }

  /** Hears of every change from now on, until it leaves. */
  follow(id: string): Subscription {
    const own = this.#byTask.get(id) ?? new Set();
    this.#byTask.set(id, own);
    const subscription: Subscription = new Subscription(() => {
      own.delete(subscription);
      if (own.size === 0 && this.#byTask.get(id) === own) this.#byTask.delete(id);
    });
    own.add(subscription);
    return subscription;
  }

  changed(task: Task): void {
    for (const subscription of this.#byTask.get(task.id) ?? []) subscription.push(task);
  }
}
