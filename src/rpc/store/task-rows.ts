// A task as a row of its table, and back.
import type { Task, TaskStatus } from "../tasks/task.ts";
import type { Priority } from "../wire/qos.ts";

export const COLUMNS = [
  "task_id",
  "tenant_id",
  "parent_task_id",
  "principal",
  "trace",
  "target_method",
  "protocol_version",
  "is_compat",
  "status",
  "priority",
  "created_at_ms",
  "updated_at_ms",
  "scheduled_at_ms",
  "ready_at_ms",
  "started_at_ms",
  "completed_at_ms",
  "attempt",
  "max_attempts",
  "next_retry_at_ms",
  "timeout_ms",
  "idempotency_key",
  "ttl_ms",
  "error",
  "progress",
  "metadata",
  "tags",
  "lease_owner",
  "lease_until_ms",
  "version",
  "bytes",
] as const;

/** What a task was submitted with stays as it is; a change writes none of it, and touches no index of it. */
export const CHANGING = [
  "status",
  "updated_at_ms",
  "ready_at_ms",
  "started_at_ms",
  "completed_at_ms",
  "attempt",
  "next_retry_at_ms",
  "error",
  "progress",
  "metadata",
  "lease_owner",
  "lease_until_ms",
  "version",
  "bytes",
] as const;

type Column = (typeof COLUMNS)[number];
type NumberColumn =
  | Extract<Column, `${string}_ms`>
  | "is_compat"
  | "priority"
  | "attempt"
  | "max_attempts"
  | "version"
  | "bytes";
type Nullable =
  | "parent_task_id"
  | "scheduled_at_ms"
  | "started_at_ms"
  | "completed_at_ms"
  | "next_retry_at_ms"
  | "timeout_ms"
  | "idempotency_key"
  | "error"
  | "progress"
  | "lease_owner"
  | "lease_until_ms";

type Plain<C extends Column> = C extends "status" ? TaskStatus : C extends NumberColumn ? number : string;

export type TaskRow = { readonly [C in Column]: C extends Nullable ? Plain<C> | null : Plain<C> };

const json = (value: unknown): string | null => (value === null ? null : JSON.stringify(value));
const parsed = (text: string | null) => (text === null ? null : JSON.parse(text));

/** The columns that a change writes. */
export const changesOf = (task: Task): Pick<TaskRow, (typeof CHANGING)[number]> => ({
  status: task.status,
  updated_at_ms: task.updatedAtMs,
  ready_at_ms: task.readyAtMs,
  started_at_ms: task.startedAtMs,
  completed_at_ms: task.completedAtMs,
  attempt: task.attempt,
  next_retry_at_ms: task.nextRetryAtMs,
  error: json(task.error),
  progress: json(task.progress),
  metadata: JSON.stringify(task.metadata),
  lease_owner: task.leaseOwner,
  lease_until_ms: task.leaseUntilMs,
  version: task.version,
  bytes: task.bytes,
});

export const rowOf = (task: Task): TaskRow => ({
  task_id: task.id,
  tenant_id: task.tenant,
  parent_task_id: task.parentId,
  principal: JSON.stringify(task.principal),
  trace: JSON.stringify(task.trace),
  target_method: task.method,
  protocol_version: task.protocolVersion,
  is_compat: task.isCompat ? 1 : 0,
  priority: task.priority,
  created_at_ms: task.createdAtMs,
  scheduled_at_ms: task.scheduledAtMs,
  max_attempts: task.maxAttempts,
  timeout_ms: task.timeoutMs,
  idempotency_key: task.keyId,
  ttl_ms: task.ttlMs,
  tags: JSON.stringify(task.tags),
  ...changesOf(task),
});

export const taskOf = (row: TaskRow): Task => ({
  id: row.task_id,
  tenant: row.tenant_id,
  parentId: row.parent_task_id,
  principal: JSON.parse(row.principal),
  trace: JSON.parse(row.trace),
  method: row.target_method,
  protocolVersion: row.protocol_version,
  isCompat: row.is_compat === 1,
  status: row.status,
  priority: row.priority as Priority,
  createdAtMs: row.created_at_ms,
  updatedAtMs: row.updated_at_ms,
  scheduledAtMs: row.scheduled_at_ms,
  readyAtMs: row.ready_at_ms,
  startedAtMs: row.started_at_ms,
  completedAtMs: row.completed_at_ms,
  attempt: row.attempt,
  maxAttempts: row.max_attempts,
  nextRetryAtMs: row.next_retry_at_ms,
  timeoutMs: row.timeout_ms,
  keyId: row.idempotency_key,
  ttlMs: row.ttl_ms,
  error: parsed(row.error),
  progress: parsed(row.progress),
  metadata: JSON.parse(row.metadata),
  tags: JSON.parse(row.tags),
  leaseOwner: row.lease_owner,
  leaseUntilMs: row.lease_until_ms,
  version: row.version,
  bytes: row.bytes,
});
