// Where tasks are kept (contract 13.4). Each operation is atomic and resolves when its effect is durable; a change is announced after that,
// in the order of the changes, in every process that shares the store.
import type { Task, TaskStatus } from "./task.ts";

export interface TaskBounds {
  readonly tasks: number;
  readonly bytes: number;
}

export interface Saved {
  readonly task: Task;
  /** False: the key had one already, and that is it. */
  readonly isNew: boolean;
}

export interface Claimed {
  readonly task: Task;
  readonly params: string;
}

export interface OldTasks {
  readonly tenant: string;
  readonly count: number;
  readonly bytes: number;
}

/** The sum of each status. */
export type TaskCounts = Readonly<Record<TaskStatus, number>>;

export interface TaskStore {
  /**
   * A new one; of a key that has one, that. When as many are there as may be, finished ones go, oldest first.
   * @throws RpcError 5021 where none is finished
   */
  save(task: Task, params: string, bounds: TaskBounds): Promise<Saved>;
  /** `result` is undefined while there is none. */
  get(id: string): Promise<{ readonly task: Task; readonly result: string | undefined } | undefined>;
  /**
   * Stores `task` where that has still the version that `task` says, under the next one; what it was submitted with stays. Undefined:
   * somebody else was first. Where a result
   * is more than `bounds` leave room for, finished tasks go, oldest first; what a task returned is never refused for want of room.
   */
  update(task: Task, result?: string, bounds?: TaskBounds): Promise<Task | undefined>;
  /**
   * The next that may run, at most `limit`, by effective priority and then by age; they run from now on, under a lease of `owner`, and one
   * commit makes that durable for all of them.
   */
  claim(owner: string, limit: number): Promise<readonly Claimed[]>;
  /** Those whose time has come may run. @returns how many; there may be more. */
  wake(): Promise<number>;
  /** In how many ms a scheduled or retrying task may run; undefined without one. */
  nextInMs(): Promise<number | undefined>;
  /** The leases of these tasks last on. */
  renew(owner: string, ids: readonly string[]): Promise<void>;
  /** Running tasks whose lease is over, and those of `owner` that are none of `ids`: whoever ran them does not run them any more. */
  lapsed(owner: string, ids: readonly string[]): Promise<readonly Task[]>;
  /** In the order in which they were submitted. */
  list(status: TaskStatus, limit: number): Promise<readonly Task[]>;
  counts(): Promise<TaskCounts>;
  /** Finished ones that were over at `now` for as long as they are kept. @returns how many; there may be more. */
  removeExpired(now: number): Promise<number>;
  expired(now: number): Promise<readonly OldTasks[]>;
  /** When the last one ended that did not end after `now`. */
  newestCompleted(now: number): Promise<number | undefined>;
  /** The shortest time for which one of them is kept; infinite without any. */
  shortestTtlMs(): number;
  close(): Promise<void>;
}

/** Hears of each change after it is durable. `again`: changes may have been missed. */
export interface TaskListener {
  changed(task: Task): void;
  again(): void;
}

export const LEASE_MS = 30_000;
export const RENEW_MS = 10_000;
/** The longest pause before an attempt. */
export const MAX_RETRY_DELAY_MS = 10_000;

/** What a task takes beside params and result. */
export const TASK_BYTES = 1_024;

/** When there are as many as may be, so many of them stay. */
export const kept = (bounds: TaskBounds): TaskBounds => ({
  tasks: Math.floor(bounds.tasks * 0.9),
  bytes: Math.floor(bounds.bytes * 0.9),
});

/** Each full second of waiting counts as a level (contract 10.5). A clock that went back takes none away. */
export const effectivePriority = (priority: number, readyAtMs: number, now: number): number =>
  Math.min(3, priority + Math.max(0, Math.floor((now - readyAtMs) / 1_000)));

/** The pause before a retry is short: one that seems longer was stored under another time of the clock. */
export const isRetryDue = (readyAtMs: number, now: number): boolean =>
  readyAtMs <= now || readyAtMs > now + MAX_RETRY_DELAY_MS;

/** A lease that ends later than one can was stored under another time of the clock. */
export const isLeaseOver = (untilMs: number | null, now: number): boolean =>
  untilMs === null || untilMs <= now || untilMs > now + LEASE_MS;

/** A change of one that runs prolongs its lease. */
export const updated = (task: Task, now: number): Task => ({
  ...task,
  leaseUntilMs: task.leaseOwner === null ? null : now + LEASE_MS,
  version: task.version + 1,
});

/** As a worker has it. */
export const running = (task: Task, owner: string, now: number): Task => ({
  ...task,
  status: "running",
  attempt: task.status === "retrying" ? task.attempt + 1 : task.attempt,
  startedAtMs: now,
  updatedAtMs: now,
  nextRetryAtMs: null,
  progress: null,
  error: null,
  leaseOwner: owner,
  leaseUntilMs: now + LEASE_MS,
  version: task.version + 1,
});
