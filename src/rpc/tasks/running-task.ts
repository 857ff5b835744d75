// One attempt of a task while it runs here: its progress is stored in order, without waiting for each, and its last state after all of it.
import type { Call } from "../pipeline/call.ts";
import type { Progress } from "../registry/call-context.ts";
import type { Task } from "./task.ts";
import type { TaskStore } from "./task-store.ts";

/** That wait to be stored; the newest takes the place of the one before it when there are more. */
const MAX_WAITING = 32;
const MAX_MESSAGE = 1_024;

export class RunningTask {
  #task: Task;
  /** Cancelled, or another server's: nothing of this attempt is stored any more. */
  isLost = false;
  readonly #waiting: Progress[] = [];
  #storing: Promise<void> | undefined;
  readonly #leaving = new AbortController();

  constructor(
    task: Task,
    private readonly store: Pick<TaskStore, "update">,
  ) {
    this.#task = task;
  }

  /** As it was stored last. */
  get task(): Task {
    return this.#task;
  }

  /** Of the call: fires when nobody waits for the handler any more. */
  get left(): AbortSignal {
    return this.#leaving.signal;
  }

  progress({ current, total, message, percentage }: Progress): void {
    if (this.isLost || this.left.aborted || !Number.isFinite(current) || !Number.isFinite(total)) return;
    if (this.#waiting.length >= MAX_WAITING) this.#waiting.pop();
    this.#waiting.push({
      current,
      total,
      ...(message !== undefined && { message: String(message).slice(0, MAX_MESSAGE) }),
      ...(percentage !== undefined && { percentage }),
    });
    this.#storing ??= this.#storeAll().finally(() => {
      this.#storing = undefined;
    });
  }

  /** Ends the attempt: its handler is told why. */
  end(call: Call, by: "cancel" | "shutdown"): void {
    this.isLost = true;
    call.end(by);
    this.#leaving.abort();
  }

  /** Resolves when all progress is stored. */
  async drained(): Promise<void> {
    await this.#storing;
  }

  async #storeAll(): Promise<void> {
    for (;;) {
      const progress = this.#waiting.shift();
      if (progress === undefined || this.isLost) return;
      try {
        const stored = await this.store.update({ ...this.#task, progress, updatedAtMs: Date.now() });
        if (stored === undefined) this.isLost = true;
        else this.#task = stored;
      } catch {
        // The store is away: what comes later says more.
      }
    }
  }
}
