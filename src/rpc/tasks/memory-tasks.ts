// Tasks in memory: for a server that keeps nothing. They are gone with the process.

import { type Amount, Shares } from "../store/shares.ts";
import { noRoomForTasks } from "./no-room.ts";
import { isFinal, TASK_STATUSES, type Task, type TaskStatus } from "./task.ts";
import {
  amountOf,
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
  readonly #shares = new Shares();

  constructor(
    private readonly listener: TaskListener,
    private readonly now: () => number = Date.now,
  ) {}

  async save(task: Task, params: string, bounds: TaskBounds): Promise<Saved> {
    const known = task.keyId === null ? undefined : this.#byKey.get(task.keyId);
    const entry = known === undefined ? undefined : this.#entries.get(known);
    if (entry !== undefined) return { task: entry.task, isNew: false };
    const added = { entries: 1, bytes: task.bytes };
    if (!this.#shares.mayHold(task.holder, amountOf(bounds), task.bytes)) throw noRoomForTasks();
    if (this.#shares.full(amountOf(bounds), added) !== undefined)
      this.#makeRoom(task.holder, kept(bounds), added);
    if (this.#shares.full(amountOf(bounds), added) !== undefined) throw noRoomForTasks();
    this.#entries.set(task.id, { task, params, result: undefined });
    if (task.keyId !== null) this.#byKey.set(task.keyId, task.id);
    this.#shares.add(task.holder, task.bytes, !isFinal(task));
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
    if (result !== undefined && bounds !== undefined)
      this.#makeRoom(task.holder, bounds, { entries: 0, bytes: Buffer.byteLength(result) });
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
    this.#shares.change(
      task.holder,
      { bytes: entry.task.bytes, isFirm: !isFinal(entry.task) },
      { bytes: grown.bytes, isFirm: !isFinal(grown) },
    );
    entry.task = grown;
    if (result !== undefined) entry.result = result;
    this.listener.changed(grown);
    return grown;
  }

  #makeRoom(holder: string, bounds: TaskBounds, added: Amount): void {
    const over = Map.groupBy(
      [...this.#entries.values()]
        .map(({ task }) => task)
        .filter(isFinal)
        .sort((a, b) => (b.completedAtMs ?? 0) - (a.completedAtMs ?? 0)),
      (task) => task.holder,
    );
    // Down to so many, the new one is not among them (contract 13.3).
    const room = { entries: 0, bytes: added.bytes };
    for (;;) {
      const measure = this.#shares.full(amountOf(bounds), room);
      const giver = measure && this.#shares.giver(holder, measure, added);
      const oldest = giver === undefined ? undefined : over.get(giver)?.pop();
      if (oldest === undefined) return;
      this.#remove(oldest);
    }
  }

  #remove(task: Task): void {
    const { id, keyId, holder, bytes } = task;
    this.#entries.delete(id);
    if (keyId !== null) this.#byKey.delete(keyId);
    this.#shares.remove(holder, bytes, !isFinal(task));
  }
}
