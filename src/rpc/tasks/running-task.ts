// One attempt of a task while it runs here: its progress is stored in order, without waiting for each, and its last state after all of it.
import type { Call } from "../pipeline/call.ts";
import type { Progress } from "../registry/call-context.ts";
import type { Task } from "./task.ts";
import type { TaskBounds, TaskStore } from "./task-store.ts";

/** That wait to be stored; the newest takes the place of the one before it when there are more. */
const MAX_WAITING = 32;
const MAX_MESSAGE = 1_024;

export interface Change {
  readonly task: Task;
  readonly result?: string;
  /** Of all tasks, where a result is stored. */
  readonly bounds?: TaskBounds;
}

export class RunningTask {
  #task: Task;
  /** Cancelled, or another server's: nothing of this attempt is stored any more. */
  isLost = false;
  readonly #waiting: Progress[] = [];
  #storing: Promise<void> | undefined;
  readonly #leaving = new AbortController();

  constructor(
    task: Task,
    private readonly tasks: Pick<TaskStore, "update" | "get">,
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

  /** @throws what the store throws; false when the attempt is lost */
  async store(change: (task: Task) => Change): Promise<boolean> {
    while (!this.isLost) {
      const { task, result, bounds } = change(this.#task);
      const stored = await this.tasks.update(task, result, bounds);
      if (stored !== undefined) {
        this.#task = stored;
        return true;
      }
      await this.#lookAgain();
    }
    return false;
  }

  /** A change of ours may have been stored although its answer never came; any other is another's. */
  async #lookAgain(): Promise<void> {
    const { id, leaseOwner, attempt } = this.#task;
    const now = (await this.tasks.get(id))?.task;
    if (now?.status === "running" && now.leaseOwner === leaseOwner && now.attempt === attempt)
      this.#task = now;
    else this.isLost = true;
  }

  async #storeAll(): Promise<void> {
    for (;;) {
      const progress = this.#waiting.shift();
      if (progress === undefined) return;
      try {
        if (!(await this.store((task) => ({ task: { ...task, progress, updatedAtMs: Date.now() } })))) return;
      } catch {
        // The store is away: what comes later says more.
      }
    }
  }
}
