// A task as it is kept, and as a client sees it (contract 13.1): what is never shown is left out, fields without a value too.
import type { Principal, Progress } from "../registry/call-context.ts";
import type { Priority } from "../wire/qos.ts";
import type { ErrorBody } from "../wire/rpc-error.ts";
import { storedValue } from "../wire/stored-value.ts";

export const TASK_STATUSES = [
  "pending",
  "scheduled",
  "running",
  "succeeded",
  "failed",
  "canceled",
  "retrying",
] as const;
export type TaskStatus = (typeof TASK_STATUSES)[number];

export interface TaskTrace {
  readonly trace_id: string;
  readonly span_id: string;
  readonly sampled: boolean;
  readonly baggage: Readonly<Record<string, string>>;
}

/** Without params and result, which may be large. */
export interface Task {
  readonly id: string;
  readonly tenant: string;
  /** Whose room it takes (store/shares.ts). */
  readonly holder: string;
  /** Of whoever submitted it: its attempts run as that. */
  readonly principal: Principal;
  readonly trace: TaskTrace;
  readonly parentId: string | null;
  readonly method: string;
  /** Of the protocol, as it was negotiated. */
  readonly protocolVersion: string;
  /** Its result is shown as the original's clients expect it (contract 13.8). */
  readonly isCompat: boolean;
  readonly status: TaskStatus;
  readonly priority: Priority;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
  readonly scheduledAtMs: number | null;
  /** It may run from then on, and waits since then. */
  readonly readyAtMs: number;
  readonly startedAtMs: number | null;
  readonly completedAtMs: number | null;
  /** From 1. */
  readonly attempt: number;
  readonly maxAttempts: number;
  readonly nextRetryAtMs: number | null;
  readonly timeoutMs: number | null;
  /** A hash of tenant, principal, method and the client's key. */
  readonly keyId: string | null;
  /** For which it is kept when it is over. */
  readonly ttlMs: number;
  readonly error: ErrorBody | null;
  readonly progress: Progress | null;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly tags: readonly string[];
  readonly leaseOwner: string | null;
  readonly leaseUntilMs: number | null;
  /** Grows with every change but that of a lease. */
  readonly version: number;
  /** Of params, and of everything else that a client sent. */
  readonly bytes: number;
}

export const isFinal = ({ status }: Pick<Task, "status">): boolean =>
  status === "succeeded" || status === "failed" || status === "canceled";

/** What a client is shown. `result`: as it is stored; undefined where there is none yet. */
export function taskRecord(task: Task, result: string | undefined): Record<string, unknown> {
  const shown: Record<string, unknown> = {
    task_id: task.id,
    parent_task_id: task.parentId,
    status: task.status,
    priority: task.priority,
    created_at_ms: task.createdAtMs,
    scheduled_at_ms: task.scheduledAtMs,
    started_at_ms: task.startedAtMs,
    completed_at_ms: task.completedAtMs,
    attempt: task.attempt,
    max_attempts: task.maxAttempts,
    next_retry_at_ms: task.nextRetryAtMs,
    error: task.error,
    progress: task.progress,
    metadata: task.metadata,
    tags: task.tags,
  };
  for (const key in shown) if (shown[key] === null) delete shown[key];
  if (task.status === "succeeded") shown.result = result === undefined ? null : storedValue(result);
  return shown;
}

export type TaskEventName = "started" | "progress" | "completed" | "failed";
export const TASK_EVENTS: readonly TaskEventName[] = ["started", "progress", "completed", "failed"];

/** Contract 13.5: a running task without progress has just started. */
export function eventOf({ status, progress }: Task): TaskEventName {
  if (status === "running") return progress === null ? "started" : "progress";
  if (status === "succeeded") return "completed";
  return status === "failed" || status === "canceled" ? "failed" : "progress";
}
