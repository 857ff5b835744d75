// Tasks in memory: for a server that keeps nothing. They are gone with the process.
import { noRoomForTasks } from "./no-room.ts";
import { isFinal, TASK_STATUSES, type Task, type TaskStatus } from "./task.ts";
import {
  type Claimed,
  effectivePriority,
  isLeaseOver,
  isRetryDue,
  kept,
  LEASE_MS,
  type OldTasks,
  running,
  type Saved,
  type TaskBounds,
  type TaskCounts,
  type TaskListener,
  type TaskStore,
  updated,
} from "./task-store.ts";

interface Entry {
  task: Task;
  readonly params: string;
  result: string | undefined;
}

export class MemoryTasks implements TaskStore {
  /** In the order in which they were submitted. */
  readonly #entries = new Map<string, Entry>();
  readonly #byKey = new Map<string, string>();
  #bytes = 0;

  constructor(
    private readonly listener: TaskListener,
    private readonly now: () => number = Date.now,
  ) {}

  async save(task: Task, params: string, bounds: TaskBounds): Promise<Saved> {
    const known = task.keyId === null ? undefined : this.#byKey.get(task.keyId);
    const entry = known === undefined ? undefined : this.#entries.get(known);
    if (entry !== undefined) return { task: entry.task, isNew: false };
    if (!this.#fits(bounds, 1, task.bytes)) this.#makeRoom(kept(bounds), task.bytes);
    if (!this.#fits(bounds, 1, task.bytes)) throw noRoomForTasks();
    this.#entries.set(task.id, { task, params, result: undefined });
    if (task.keyId !== null) this.#byKey.set(task.keyId, task.id);
    this.#bytes += task.bytes;
    this.listener.changed(task);
    return { task, isNew: true };
  }

  async get(id: string) {
    const entry = this.#entries.get(id);
    return entry === undefined ? undefined : { task: entry.task, result: entry.result };
  }

  async update(task: Task, result?: string, bounds?: TaskBounds): Promise<Task | undefined> {
    const entry = this.#entries.get(task.id);
    if (entry === undefined || entry.task.version !== task.version) return undefined;
    if (result !== undefined && bounds !== undefined) this.#makeRoom(bounds, Buffer.byteLength(result));
    return this.#change(entry, updated(task, this.now()), result);
  }

  async claim(owner: string, limit: number): Promise<readonly Claimed[]> {
    const claimed: Claimed[] = [];
    while (claimed.length < limit) {
      const one = this.#next(owner);
      if (one === undefined) break;
      claimed.push(one);
    }
    return claimed;
  }

  #next(owner: string): Claimed | undefined {
    const now = this.now();
    let best: Entry | undefined;
    let level = -1;
    for (const entry of this.#entries.values()) {
      const { status, priority, readyAtMs } = entry.task;
      if (status !== "pending" && !(status === "retrying" && isRetryDue(readyAtMs, now))) continue;
      const own = effectivePriority(priority, readyAtMs, now);
      if (own < level || (own === level && best !== undefined && best.task.readyAtMs <= readyAtMs)) continue;
      best = entry;
      level = own;
    }
    if (best === undefined) return undefined;
    const task = this.#change(best, running(best.task, owner, now));
    return { task, params: best.params };
  }

  async wake(): Promise<number> {
    const now = this.now();
    const due = this.#with("scheduled")
      .filter(({ task }) => task.readyAtMs <= now)
      .sort((a, b) => a.task.readyAtMs - b.task.readyAtMs);
    for (const entry of due) {
      const { task } = entry;
      this.#change(entry, { ...task, status: "pending", updatedAtMs: now, version: task.version + 1 });
    }
    return due.length;
  }

  async nextInMs(): Promise<number | undefined> {
    const now = this.now();
    const waiting = [...this.#with("scheduled"), ...this.#with("retrying")];
    const next = Math.min(...waiting.map(({ task }) => task.readyAtMs));
    return Number.isFinite(next) ? Math.max(0, next - now) : undefined;
  }

  async renew(owner: string, ids: readonly string[]): Promise<void> {
    for (const id of ids) {
      const entry = this.#entries.get(id);
      if (entry?.task.leaseOwner === owner && entry.task.status === "running")
        entry.task = { ...entry.task, leaseUntilMs: this.now() + LEASE_MS };
    }
  }

  async lapsed(owner: string, ids: readonly string[]): Promise<readonly Task[]> {
    const now = this.now();
    return this.#with("running")
      .map(({ task }) => task)
      .filter(
        ({ id, leaseOwner, leaseUntilMs }) =>
          !ids.includes(id) && (leaseOwner === owner || isLeaseOver(leaseUntilMs, now)),
      );
  }

  async list(status: TaskStatus, limit: number): Promise<readonly Task[]> {
    return this.#with(status)
      .slice(0, limit)
      .map(({ task }) => task);
  }

  async counts(): Promise<TaskCounts> {
    const counts = Object.fromEntries(TASK_STATUSES.map((status) => [status, 0])) as Record<
      TaskStatus,
      number
    >;
    for (const { task } of this.#entries.values()) counts[task.status]++;
    return counts;
  }

  async removeExpired(now: number): Promise<number> {
    const old = this.#old(now);
    for (const { task } of old) this.#remove(task);
    return old.length;
  }

  async expired(now: number): Promise<readonly OldTasks[]> {
    return [...Map.groupBy(this.#old(now), ({ task }) => task.tenant)].map(([tenant, entries]) => ({
      tenant,
      count: entries.length,
      bytes: entries.reduce((sum, { task }) => sum + task.bytes, 0),
    }));
  }

  async newestCompleted(now: number): Promise<number | undefined> {
    const ends = [...this.#entries.values()].map(
      ({ task }) => task.completedAtMs ?? Number.NEGATIVE_INFINITY,
    );
    const newest = Math.max(...ends.filter((at) => at <= now));
    return Number.isFinite(newest) ? newest : undefined;
  }

  shortestTtlMs(): number {
    return Math.min(...[...this.#entries.values()].map(({ task }) => task.ttlMs));
  }

  async close(): Promise<void> {}

  #with(status: TaskStatus): Entry[] {
    return [...this.#entries.values()].filter(({ task }) => task.status === status);
  }

  #old(now: number): Entry[] {
    return [...this.#entries.values()].filter(
      ({ task }) => task.completedAtMs !== null && task.completedAtMs + task.ttlMs <= now,
    );
  }

  #change(entry: Entry, task: Task, result?: string): Task {
    const grown = result === undefined ? task : { ...task, bytes: task.bytes + Buffer.byteLength(result) };
    this.#bytes += grown.bytes - entry.task.bytes;
    entry.task = grown;
    if (result !== undefined) entry.result = result;
    this.listener.changed(grown);
    return grown;
  }

  #fits(bounds: TaskBounds, tasks: number, bytes: number): boolean {
    return this.#entries.size + tasks <= bounds.tasks && this.#bytes + bytes <= bounds.bytes;
  }

  #makeRoom(bounds: TaskBounds, bytes: number): void {
    const over = [...this.#entries.values()]
      .filter(({ task }) => isFinal(task))
      .sort((a, b) => (a.task.completedAtMs ?? 0) - (b.task.completedAtMs ?? 0));
    for (const { task } of over) {
      if (this.#fits(bounds, 0, bytes)) return;
      this.#remove(task);
    }
  }

  #remove({ id, keyId, bytes }: Task): void {
    this.#entries.delete(id);
    if (keyId !== null) this.#byKey.delete(keyId);
    this.#bytes -= bytes;
  }
}
