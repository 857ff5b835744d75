// What a caller asks of the way in which its call is carried out (contract 10). Every field has an effect; what the original's clients send
// beside them is ignored.
import { errorCode } from "./error-codes.ts";
import { absent, type Fields, isSafeInteger, objectField, type Problems } from "./problems.ts";

/** 0 low, 1 normal, 2 high, 3 critical. */
export type Priority = 0 | 1 | 2 | 3;

const PRIORITY_NAMES = ["low", "normal", "high", "critical"] as const;

export interface RetryConfig {
  readonly maxAttempts: number;
  readonly initialDelayMs: number;
  readonly maxDelayMs: number;
  readonly backoffMultiplier: number;
  /** Those of the caller that a retry may answer at all; undefined: the table's. */
  readonly codes: ReadonlySet<number> | undefined;
}

export interface Qos {
  readonly priority: Priority;
  readonly timeoutMs: number | undefined;
  readonly retry: RetryConfig | undefined;
  readonly idempotencyKey: string | undefined;
}

export const DEFAULT_QOS: Qos = {
  priority: 1,
  timeoutMs: undefined,
  retry: undefined,
  idempotencyKey: undefined,
};

export const MAX_IDEMPOTENCY_KEY = 256;

export function qos(problems: Problems, from: Fields): Qos {
  const priority = absent(from.priority) ? 1 : priorityOf(from.priority);
  if (priority === undefined)
    problems.value("qos.priority", "must be 0 to 3, or low, normal, high or critical");
  const retry = objectField(problems, from, "retry", "qos.retry");
  return {
    priority: priority ?? 1,
    timeoutMs: whole(problems, from.timeout_ms, "qos.timeout_ms", 1, Number.MAX_SAFE_INTEGER),
    retry: retry === undefined ? undefined : retryConfig(problems, retry),
    idempotencyKey: idempotencyKey(problems, from.idempotency_key),
  };
}

export function priorityOf(value: unknown): Priority | undefined {
  if (value === 0 || value === 1 || value === 2 || value === 3) return value;
  const named = typeof value === "string" ? PRIORITY_NAMES.indexOf(value as "low") : -1;
  return named < 0 ? undefined : (named as Priority);
}

function idempotencyKey(problems: Problems, value: unknown): string | undefined {
  if (absent(value)) return undefined;
  if (typeof value !== "string") return problems.shape("qos.idempotency_key", "must be a string");
  if (value.length < 1 || value.length > MAX_IDEMPOTENCY_KEY)
    return problems.value("qos.idempotency_key", `must have 1 to ${MAX_IDEMPOTENCY_KEY} characters`);
  return value;
}

function whole(
  problems: Problems,
  value: unknown,
  path: string,
  min: number,
  max: number,
): number | undefined {
  if (absent(value)) return undefined;
  if (typeof value !== "number") return problems.shape(path, "must be a number");
  if (!isSafeInteger(value) || value < min || value > max)
    return problems.value(path, `must be a whole number from ${min} to ${max}`);
  return value;
}

function retryConfig(problems: Problems, from: Fields): RetryConfig {
  const initialDelayMs =
    whole(problems, from.initial_delay_ms, "qos.retry.initial_delay_ms", 1, 60_000) ?? 100;
  const maxDelayMs =
    whole(problems, from.max_delay_ms, "qos.retry.max_delay_ms", initialDelayMs, Number.MAX_SAFE_INTEGER) ??
    Math.max(10_000, initialDelayMs);
  return {
    maxAttempts: whole(problems, from.max_attempts, "qos.retry.max_attempts", 1, 10) ?? 3,
    initialDelayMs,
    maxDelayMs,
    backoffMultiplier: multiplier(problems, from.backoff_multiplier),
    codes: codes(problems, from.retryable_codes),
  };
}

function multiplier(problems: Problems, value: unknown): number {
  const path = "qos.retry.backoff_multiplier";
  if (absent(value)) return 2;
  if (typeof value !== "number") problems.shape(path, "must be a number");
  else if (value >= 1 && value <= 10) return value;
  else problems.value(path, "must be from 1 to 10");
  return 2;
}

/** Codes that are never retried are ignored, but for INTERNAL_ERROR, which a caller may opt in to. */
function codes(problems: Problems, value: unknown): ReadonlySet<number> | undefined {
  const path = "qos.retry.retryable_codes";
  if (absent(value)) return undefined;
  if (!Array.isArray(value) || value.length > 64)
    return problems.shape(path, "must be a list of at most 64 codes");
  const allowed = new Set<number>();
  for (const [index, code] of value.entries()) {
    const known = typeof code === "number" ? errorCode(code) : undefined;
    if (known === undefined) problems.value(`${path}.${index}`, "is not a code of this protocol");
    else if (known.auto === "yes" || known.code === 5000) allowed.add(known.code);
  }
  return allowed;
}
