// What callers of TaskService send (contract 13.1), read by hand: a mandatory field that is missing is 2002, a wrong type 2001, a value out
// of range 2003.
import type { Data } from "../registry/definition.ts";
import { type MethodName, methodName } from "../wire/method-name.ts";
import { absent, type Fields, isFields, isSafeInteger } from "../wire/problems.ts";
import { MAX_IDEMPOTENCY_KEY, type Priority, priorityOf } from "../wire/qos.ts";
import { type RpcError, rpcError } from "../wire/rpc-error.ts";
import { TASK_EVENTS, type TaskEventName } from "./task.ts";

export interface Submission {
  readonly method: MethodName;
  readonly params: Fields | null;
  readonly priority: Priority;
  readonly maxAttempts: number | undefined;
  readonly timeoutMs: number | undefined;
  readonly scheduledAtMs: number | undefined;
  readonly key: string | undefined;
  readonly metadata: Fields;
  /** For which it is kept, where it is not as long as the document says. */
  readonly ttlMs?: number | undefined;
  readonly isCompat?: boolean;
}

const MAX_ATTEMPTS = 100;
const MAX_TASK_ID = 128;
const MAX_REASON = 1_024;
const MAX_METADATA_BYTES = 64 * 1024;
/** A task that waits takes room until it has run: nobody keeps it for ever. */
const MAX_AHEAD_MS = 366 * 24 * 3_600_000;

const missing = (field: string): RpcError => rpcError(2002, "MissingField", "is required", { field });
const wrongType = (field: string, reason: string): RpcError =>
  rpcError(2001, "InvalidField", reason, { field });
const wrong = (field: string, reason: string): RpcError => rpcError(2003, "InvalidField", reason, { field });

export function submission(data: Data): Submission {
  const target = text(data, "target_method");
  if (target === undefined || target === "") throw missing("target_method");
  const method = methodName(target);
  if (method === undefined)
    throw rpcError(1002, "InvalidMethod", "must be rpc.v2/<service>/<handler>", { field: "target_method" });
  const key = text(data, "idempotency_key");
  if (key !== undefined && (key.length < 1 || key.length > MAX_IDEMPOTENCY_KEY))
    throw wrong("idempotency_key", `must have 1 to ${MAX_IDEMPOTENCY_KEY} characters`);
  const metadata = object(data, "metadata") ?? {};
  if (Buffer.byteLength(JSON.stringify(metadata)) > MAX_METADATA_BYTES)
    throw wrong("metadata", `must have at most ${MAX_METADATA_BYTES} bytes`);
  return {
    method,
    params: object(data, "params") ?? null,
    priority: priority(data?.priority),
    // Of a client that sends what it leaves out as 0.
    maxAttempts: data?.max_attempts === 0 ? undefined : whole(data, "max_attempts", 1, MAX_ATTEMPTS),
    timeoutMs: whole(data, "timeout_ms", 1, Number.MAX_SAFE_INTEGER),
    scheduledAtMs: whole(data, "scheduled_at_ms", 0, Date.now() + MAX_AHEAD_MS),
    key,
    metadata,
  };
}

export function taskId(data: Data): string {
  const id = text(data, "task_id");
  if (id === undefined || id === "") throw missing("task_id");
  if (id.length > MAX_TASK_ID) throw unknownTask();
  return id;
}

export function cancelReason(data: Data): string | undefined {
  const reason = text(data, "reason");
  if (reason !== undefined && reason.length > MAX_REASON)
    throw wrong("reason", `must have at most ${MAX_REASON} characters`);
  return reason;
}

/** Undefined: all. */
export function eventFilter(data: Data): ReadonlySet<TaskEventName> | undefined {
  const events = data?.events;
  if (absent(events)) return undefined;
  if (!Array.isArray(events)) throw wrongType("events", "must be a list of strings");
  if (events.length === 0) return undefined;
  for (const [index, event] of events.slice(0, 64).entries())
    if (!TASK_EVENTS.includes(event))
      throw wrong(`events.${index}`, `must be one of ${TASK_EVENTS.join(", ")}`);
  return new Set(events.slice(0, 64));
}

/** Of another tenant too: that it exists is nobody else's matter. */
export const unknownTask = (): RpcError => rpcError(4000, "task", "no such task", { field: "task_id" });

/** The original's client sends one that was not set as a list of one. */
function priority(value: unknown): Priority {
  if (absent(value)) return 1;
  const one = Array.isArray(value) && value.length === 1 ? value[0] : value;
  const known = priorityOf(one);
  if (known === undefined) throw wrong("priority", "must be 0 to 3, or low, normal, high or critical");
  return known;
}

function text(data: Data, field: string): string | undefined {
  const value = data?.[field];
  if (absent(value)) return undefined;
  if (typeof value !== "string") throw wrongType(field, "must be a string");
  return value;
}

function object(data: Data, field: string): Fields | undefined {
  const value = data?.[field];
  if (absent(value)) return undefined;
  if (!isFields(value)) throw wrongType(field, "must be an object");
  return value;
}

function whole(data: Data, field: string, min: number, max: number): number | undefined {
  const value = data?.[field];
  if (absent(value)) return undefined;
  if (typeof value !== "number") throw wrongType(field, "must be a number");
  if (!isSafeInteger(value) || value < min || value > max)
    throw wrong(field, `must be a whole number from ${min} to ${max}`);
  return value;
}
