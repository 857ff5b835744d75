// Tasks in SQLite (contract 13.4): a task that was acknowledged is there after a crash, and nobody hears of a change before it is durable.
// The next task is found by the head of each level's line: the oldest of a level has waited longest in it.
import type { Database } from "../../storage/database.ts";
import { durably } from "../../storage/durable-store.ts";
import type { Db } from "../../storage/query.ts";
import { noRoomForTasks } from "../tasks/no-room.ts";
import { TASK_STATUSES, type Task, type TaskStatus } from "../tasks/task.ts";
import {
  type Claimed,
  effectivePriority,
  isLeaseOver,
  isRetryDue,
  kept,
  LEASE_MS,
  MAX_RETRY_DELAY_MS,
  type OldTasks,
  running,
  type Saved,
  type TaskBounds,
  type TaskCounts,
  type TaskListener,
  type TaskStore,
  updated,
} from "../tasks/task-store.ts";
import { statement } from "./statement.ts";
import { CHANGING, COLUMNS, changesOf, rowOf, type TaskRow, taskOf } from "./task-rows.ts";

const names = COLUMNS.join(", ");
const find = statement<TaskRow>(`SELECT ${names} FROM rpc_tasks WHERE task_id = $id`);
const findByKey = statement<TaskRow>(`SELECT ${names} FROM rpc_tasks WHERE idempotency_key = $key`);
const insert = statement<{ seq: number }>(
  `INSERT INTO rpc_tasks (${names}) VALUES (${COLUMNS.map((name) => `$${name}`).join(", ")}) RETURNING seq`,
);
const seen = statement<{ seq: number; version: number }>(
  "SELECT seq, version FROM rpc_tasks WHERE task_id = $id",
);
const bySeq = statement<TaskRow>(`SELECT ${names} FROM rpc_tasks WHERE seq = $seq`);
const change = statement(
  `UPDATE rpc_tasks SET ${CHANGING.map((name) => `${name} = $${name}`).join(", ")} WHERE seq = $seq`,
);
const insertParams = statement("INSERT INTO rpc_task_params (seq, params) VALUES ($seq, $params)");
const paramsOf = statement<{ params: string }>("SELECT params FROM rpc_task_params WHERE seq = $seq");
const insertResult = statement(
  "INSERT OR REPLACE INTO rpc_task_results (seq, result) VALUES ($seq, $result)",
);
const resultOf = statement<{ result: string }>(
  "SELECT result FROM rpc_task_results WHERE seq = (SELECT seq FROM rpc_tasks WHERE task_id = $id)",
);
const PRIORITIES = [3, 2, 1, 0] as const;
const LINE = "SELECT seq, status, priority, ready_at_ms FROM rpc_tasks WHERE";
/**
 * The head of each line, and one that retries whose time seems too far away. Statuses and levels are written out: in
 * SQLite 3.54 a run costs ten times as much where an ORDER BY stands beside an equation with a bound value.
 */
const heads = statement<Head>(
  [
    ...PRIORITIES.flatMap((priority) =>
      ["pending", "retrying"].map(
        (status) =>
          `${LINE} status = '${status}' AND priority = ${priority} ORDER BY ready_at_ms, seq LIMIT 1`,
      ),
    ),
    `${LINE} status = 'retrying' AND ready_at_ms > $from ORDER BY ready_at_ms LIMIT 1`,
  ]
    .map((one) => `SELECT * FROM (${one})`)
    .join(" UNION ALL "),
);
const due = statement<TaskRow & { seq: number }>(
  `SELECT seq, ${names} FROM rpc_tasks WHERE status = 'scheduled' AND ready_at_ms <= $now ORDER BY ready_at_ms LIMIT $limit`,
);
const next = statement<{ scheduled: number | null; retrying: number | null }>(
  `SELECT (SELECT min(ready_at_ms) FROM rpc_tasks WHERE status = 'scheduled') AS scheduled,
     (SELECT min(ready_at_ms) FROM rpc_tasks WHERE status = 'retrying') AS retrying`,
);
const renewOne = statement(
  "UPDATE rpc_tasks SET lease_until_ms = $until WHERE task_id = $id AND lease_owner = $owner AND status = 'running'",
);
const withStatus = statement<TaskRow>(
  `SELECT ${names} FROM rpc_tasks WHERE status = $status ORDER BY seq LIMIT $limit`,
);
const sums = statement<{ status: TaskStatus; tasks: number; bytes: number }>(
  "SELECT status, tasks, bytes FROM rpc_task_sums",
);
const total = statement<{ tasks: number; bytes: number }>(
  "SELECT sum(tasks) AS tasks, sum(bytes) AS bytes FROM rpc_task_sums",
);
const oldestOver = statement<{ task_id: string }>(
  "SELECT task_id FROM rpc_tasks WHERE completed_at_ms IS NOT NULL ORDER BY completed_at_ms, seq LIMIT 1",
);
const remove = statement("DELETE FROM rpc_tasks WHERE task_id = $id");
const old = statement<{ task_id: string; bytes: number }>(
  "SELECT task_id, bytes FROM rpc_tasks WHERE completed_at_ms <= $before AND completed_at_ms + ttl_ms <= $now LIMIT $limit",
);
const oldByTenant = statement<OldTasks>(
  `SELECT tenant_id AS tenant, count(*) AS count, sum(bytes) AS bytes FROM rpc_tasks
   WHERE completed_at_ms <= $before AND completed_at_ms + ttl_ms <= $now GROUP BY tenant_id`,
);
const newest = statement<{ at: number | null }>(
  "SELECT max(completed_at_ms) AS at FROM rpc_tasks WHERE completed_at_ms <= $now",
);
const shortest = statement<{ ms: number | null }>("SELECT min(ttl_ms) AS ms FROM rpc_tasks");

const STEP = 200;
/** Large results hold the thread for long when they go together. */
const STEP_BYTES = 16 * 1024 * 1024;

export interface SqliteTasksParts {
  readonly database: Database;
  readonly listener: TaskListener;
  readonly now?: () => number;
}

export class SqliteTasks implements TaskStore {
  readonly #database: Database;
  readonly #listener: TaskListener;
  readonly #now: () => number;

  constructor({ database, listener, now = Date.now }: SqliteTasksParts) {
    this.#database = database;
    this.#listener = listener;
    this.#now = now;
  }

  save(task: Task, params: string, bounds: TaskBounds): Promise<Saved> {
    return this.#database.writer.run(
      (db) => {
        const known = task.keyId === null ? null : findByKey(db).get({ key: task.keyId });
        if (known !== null) return { task: taskOf(known), isNew: false };
        if (!fits(db, bounds, 1, task.bytes)) makeRoom(db, kept(bounds), task.bytes);
        if (!fits(db, bounds, 1, task.bytes)) throw noRoomForTasks();
        this.#database.quota.admit("thing", task.bytes);
        const row = insert(db).get(rowOf(task));
        if (row !== null) insertParams(db).run({ seq: row.seq, params });
        return { task, isNew: true };
      },
      ({ task: saved, isNew }) => {
        if (isNew) this.#listener.changed(saved);
      },
      { holds: params },
    );
  }

  get(id: string) {
    const { reads } = this.#database;
    return durably(this.#database, async () => {
      const row = find(reads).get({ id });
      if (row === null) return undefined;
      return { task: taskOf(row), result: resultOf(reads).get({ id })?.result };
    });
  }

  update(task: Task, result?: string, bounds?: TaskBounds): Promise<Task | undefined> {
    return this.#database.writer.run(
      (db) => {
        const row = seen(db).get({ id: task.id });
        if (row === null || row.version !== task.version) return undefined;
        const { seq } = row;
        const grown = result === undefined ? 0 : Buffer.byteLength(result);
        if (grown > 0 && bounds !== undefined) makeRoom(db, bounds, grown);
        const changed = { ...updated(task, this.#now()), bytes: task.bytes + grown };
        change(db).run({ seq, ...changesOf(changed) });
        if (result !== undefined) insertResult(db).run({ seq, result });
        return changed;
      },
      (changed) => {
        if (changed !== undefined) this.#listener.changed(changed);
      },
      { holds: result },
    );
  }

  async claim(owner: string, limit: number): Promise<readonly Claimed[]> {
    const now = this.#now();
    // Most looks find nothing, and need no transaction.
    if (headOf(this.#database.reads, now) === undefined) return [];
    return this.#database.writer.run(
      (db) => {
        const claimed: Claimed[] = [];
        while (claimed.length < limit) {
          const head = headOf(db, now);
          if (head === undefined) break;
          const { seq } = head;
          const row = bySeq(db).get({ seq });
          if (row === null) break;
          const task = running(taskOf(row), owner, now);
          change(db).run({ seq, ...changesOf(task) });
          claimed.push({ task, params: paramsOf(db).get({ seq })?.params ?? "null" });
        }
        return claimed;
      },
      (claimed) => {
        for (const { task } of claimed) this.#listener.changed(task);
      },
    );
  }

  async wake(): Promise<number> {
    const now = this.#now();
    if (due(this.#database.reads).get({ now, limit: 1 }) === null) return 0;
    const woken = await this.#database.writer.run(
      (db) =>
        due(db)
          .all({ now, limit: STEP })
          .map((row) => {
            const task = taskOf(row);
            const pending: Task = { ...task, status: "pending", updatedAtMs: now, version: task.version + 1 };
            change(db).run({ seq: row.seq, ...changesOf(pending) });
            return pending;
          }),
      (tasks) => {
        for (const task of tasks) this.#listener.changed(task);
      },
    );
    return woken.length;
  }

  async nextInMs(): Promise<number | undefined> {
    const { scheduled = null, retrying = null } = next(this.#database.reads).get({}) ?? {};
    const times = [scheduled, retrying].filter((at) => at !== null);
    return times.length === 0 ? undefined : Math.max(0, Math.min(...times) - this.#now());
  }

  async renew(owner: string, ids: readonly string[]): Promise<void> {
    const until = this.#now() + LEASE_MS;
    await this.#database.writer.run((db) => {
      for (const id of ids) renewOne(db).run({ id, owner, until });
    });
  }

  lapsed(owner: string, ids: readonly string[]): Promise<readonly Task[]> {
    const now = this.#now();
    const { reads } = this.#database;
    return durably(this.#database, async () =>
      withStatus(reads)
        .all({ status: "running", limit: -1 })
        .filter(
          (row) =>
            !ids.includes(row.task_id) && (row.lease_owner === owner || isLeaseOver(row.lease_until_ms, now)),
        )
        .map(taskOf),
    );
  }

  list(status: TaskStatus, limit: number): Promise<readonly Task[]> {
    const { reads } = this.#database;
    return durably(this.#database, async () => withStatus(reads).all({ status, limit }).map(taskOf));
  }

  async counts(): Promise<TaskCounts> {
    const found = sums(this.#database.reads).all({});
    const of = (status: TaskStatus) => found.find((sum) => sum.status === status)?.tasks ?? 0;
    return Object.fromEntries(TASK_STATUSES.map((status) => [status, of(status)])) as TaskCounts;
  }

  removeExpired(now: number): Promise<number> {
    return this.#database.writer.run((db) => {
      let [removed, removedBytes] = [0, 0];
      for (const { task_id: id, bytes } of old(db).all({ now, before: now, limit: STEP })) {
        if (removedBytes >= STEP_BYTES) break;
        remove(db).run({ id });
        removed++;
        removedBytes += bytes;
      }
      return removed;
    });
  }

  async expired(now: number): Promise<readonly OldTasks[]> {
    return oldByTenant(this.#database.reads).all({ now, before: now });
  }

  async newestCompleted(now: number): Promise<number | undefined> {
    return newest(this.#database.reads).get({ now })?.at ?? undefined;
  }

  shortestTtlMs(): number {
    return shortest(this.#database.reads).get({})?.ms ?? Number.POSITIVE_INFINITY;
  }

  async close(): Promise<void> {}
}

interface Head {
  readonly seq: number;
  readonly status: "pending" | "retrying";
  readonly priority: number;
  readonly ready_at_ms: number;
}

/** Of what waits: the heads of all lines, and of them the one of the highest level that waits longest. */
function headOf(db: Db, now: number): Head | undefined {
  let best: Head | undefined;
  let level = -1;
  for (const head of heads(db).all({ from: now + MAX_RETRY_DELAY_MS })) {
    const { status, priority, ready_at_ms: readyAtMs } = head;
    if (status === "retrying" && !isRetryDue(readyAtMs, now)) continue;
    const own = effectivePriority(priority, readyAtMs, now);
    if (own < level || (own === level && best !== undefined && best.ready_at_ms <= readyAtMs)) continue;
    best = head;
    level = own;
  }
  return best;
}

function fits(db: Db, bounds: TaskBounds, tasks: number, bytes: number): boolean {
  const held = total(db).get({}) ?? { tasks: 0, bytes: 0 };
  return held.tasks + tasks <= bounds.tasks && held.bytes + bytes <= bounds.bytes;
}

function makeRoom(db: Db, bounds: TaskBounds, bytes: number): void {
  while (!fits(db, bounds, 0, bytes)) {
    const oldest = oldestOver(db).get({});
    if (oldest === null) return;
    remove(db).run({ id: oldest.task_id });
  }
}
