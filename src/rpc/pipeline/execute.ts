// Stage 15: the handler, inside its retries, inside the breaker, inside a place of the bulkhead, all under one deadline (contract 2, 10, 12).
//
// - The deadline counts from the first stage and covers waiting, all attempts and the pauses between them. When it passes, the caller is
//   answered at once, whatever the handler does; a result that comes later is thrown away and counted.
// - The place is given back when the handler has really ended, at the latest a grace time after its caller was answered.
// - A retry happens only where a second run does no harm, and the breaker counts a call once.
import type { Logger } from "pino";
import type { Handler } from "../registry/definition.ts";
import { errorCode } from "../wire/error-codes.ts";
import type { RetryConfig } from "../wire/qos.ts";
import { RpcError } from "../wire/rpc-error.ts";
import { isCallersDeadline } from "./blame.ts";
import type { Call, EndedBy } from "./call.ts";
import { HandlerContext } from "./handler-context.ts";
import { errorOutcome, type Outcome, outcomeOf } from "./outcome.ts";
import type { Blocking, BreakerTicket, Guards, Observer, Slot } from "./parts.ts";

export interface ExecuteParts {
  readonly guards: Guards;
  readonly observer: Observer;
  readonly blocking: Blocking;
  readonly log: Logger;
}

/** Part of the delay before a retry. */
const JITTER = 0.1;

export function setDeadline(call: Call): void {
  const { qos } = call.config;
  const { timeoutMs } = call.asked.qos;
  const asked = timeoutMs ?? call.definition.timeoutMs ?? qos.default_timeout_ms;
  call.deadlineAt = call.incoming.startedAt + Math.min(asked, qos.max_timeout_ms);
}

/**
 * Never rejects. Answers at once where nobody has to be waited for: each further promise on the way would cost a small call more than its
 * handler does.
 */
export function execute(call: Call, parts: ExecuteParts): Outcome | Promise<Outcome> {
  try {
    const entered = parts.guards.enter(call);
    if (!(entered instanceof Promise)) return inPlace(call, entered, parts);
    return entered.then(
      (slot) => inPlace(call, slot, parts),
      (error: unknown) => refused(call, error, parts),
    );
  } catch (error) {
    return refused(call, error, parts);
  }
}

/** With a place, which is given back. */
function inPlace(call: Call, slot: Slot, parts: ExecuteParts): Outcome | Promise<Outcome> {
  const run: Run = { isOver: true };
  let outcome: Outcome | Promise<Outcome>;
  try {
    const ticket = parts.guards.admit(call);
    const tried = attempts(call, parts, run);
    outcome =
      tried instanceof Promise
        ? tried.then((last) => settled(call, ticket, last, run, parts))
        : settled(call, ticket, tried, run, parts);
  } catch (error) {
    outcome = refused(call, error, parts);
  }
  if (outcome instanceof Promise) return whenOver(call, slot, run, parts, outcome);
  releaseWhenOver(call, slot, run, parts);
  return outcome;
}

async function whenOver(
  call: Call,
  slot: Slot,
  run: Run,
  parts: ExecuteParts,
  outcome: Promise<Outcome>,
): Promise<Outcome> {
  try {
    return await outcome;
  } catch (error) {
    return await refused(call, error, parts);
  } finally {
    releaseWhenOver(call, slot, run, parts);
  }
}

/** The breaker is told. */
function settled(
  call: Call,
  ticket: BreakerTicket,
  outcome: Outcome,
  { beganAt }: Run,
  parts: ExecuteParts,
): Outcome | Promise<Outcome> {
  const code = outcome.status === "error" ? outcome.error.code : undefined;
  // A deadline that passed while its caller sent the call, or while it waited, says nothing of the handler; nor does one that its caller
  // chose so short.
  const isNobodys =
    beganAt === undefined ||
    (call.endedBy !== undefined && call.endedBy !== "deadline") ||
    isCallersDeadline(call, beganAt);
  if (isNobodys) ticket.ignored();
  else if (code === undefined) ticket.succeeded();
  else ticket.failed(code);
  return outcome.status === "error" ? fallback(call, outcome, parts) : outcome;
}

function refused(call: Call, error: unknown, parts: ExecuteParts): Outcome | Promise<Outcome> {
  const outcome = errorOutcome(error);
  return outcome.error.code === 5010 ? fallback(call, outcome, parts) : outcome;
}

interface Run {
  /** Of `performance.now()`: the handler's first attempt. */
  beganAt?: number;
  /** The handler has ended; false while one goes on whose caller was answered. */
  isOver: boolean;
  onOver?: () => void;
}

function releaseWhenOver(call: Call, slot: Slot, run: Run, { log }: ExecuteParts): void {
  if (run.isOver) {
    slot.release();
    return;
  }
  const timer = setTimeout(() => {
    log.warn(
      { method: call.methodName, request_id: call.id },
      "a handler goes on long after its call has ended",
    );
    slot.release();
  }, call.config.qos.zombie_grace_ms);
  timer.unref();
  run.onOver = () => {
    clearTimeout(timer);
    slot.release();
  };
}

function attempts(call: Call, parts: ExecuteParts, run: Run): Outcome | Promise<Outcome> {
  const retry = retryOf(call);
  const first = attempt(call, call.definition.run, parts, run);
  const isLast = retry === undefined || (!(first instanceof Promise) && first.status !== "error");
  return isLast ? first : retried(call, retry, first, parts, run);
}

async function retried(
  call: Call,
  retry: RetryConfig,
  first: Outcome | Promise<Outcome>,
  parts: ExecuteParts,
  run: Run,
): Promise<Outcome> {
  for (let outcome = await first; ; outcome = await attempt(call, call.definition.run, parts, run)) {
    if (outcome.status !== "error" || call.endedBy !== undefined) return counted(call, outcome);
    if (call.attempt >= retry.maxAttempts || !isRetried(outcome.error.code, retry))
      return counted(call, outcome);
    const delayMs = delayBefore(call.attempt, retry);
    // No attempt begins that the deadline would not let begin.
    if (delayMs >= call.remainingMs()) return counted(call, outcome);
    await Bun.sleep(delayMs);
    if (call.endedBy !== undefined) return counted(call, outcome);
    call.attempt++;
    parts.observer.retried(call);
  }
}

function counted(call: Call, outcome: Outcome): Outcome {
  if (call.attempt > 1) call.headers.attempts = String(call.attempt);
  return outcome;
}

/** Undefined: one attempt. */
function retryOf(call: Call): RetryConfig | undefined {
  const { retry, idempotencyKey } = call.asked.qos;
  if (retry === undefined || !call.config.resilience.retry.enabled) return undefined;
  if (call.definition.idempotent === true || idempotencyKey !== undefined) return retry;
  call.headers["retry-ignored"] = "not-idempotent";
  return undefined;
}

function isRetried(code: number, { codes }: RetryConfig): boolean {
  return codes === undefined ? errorCode(code)?.auto === "yes" : codes.has(code);
}

function delayBefore(
  attempt: number,
  { initialDelayMs, maxDelayMs, backoffMultiplier }: RetryConfig,
): number {
  const delay = Math.min(maxDelayMs, initialDelayMs * backoffMultiplier ** (attempt - 1));
  return delay * (1 + JITTER * (2 * Math.random() - 1));
}

/** The handler's outcome, or the deadline's, whichever comes first. */
function attempt(call: Call, handler: Handler, parts: ExecuteParts, run: Run): Outcome | Promise<Outcome> {
  let value: unknown;
  if (call.remainingMs() <= 0) return expired(call, "deadline");
  run.beganAt ??= performance.now();
  try {
    const context = new HandlerContext(call, parts.log);
    const { cpu } = call.definition;
    value = cpu === undefined ? handler(call.asked.data, context) : parts.blocking.run(cpu, call, context);
  } catch (error) {
    return failed(call, error, parts);
  }
  if (!isPromise(value)) return call.remainingMs() > 0 ? outcomeOf(value) : expired(call, "deadline");
  return beforeDeadline(call, value, parts, run);
}

function beforeDeadline(
  call: Call,
  value: PromiseLike<unknown>,
  parts: ExecuteParts,
  run: Run,
): Promise<Outcome> {
  run.isOver = false;
  const { disconnected } = call.incoming;
  return new Promise((resolve) => {
    let isAnswered = false;
    const answer = (outcome: Outcome) => {
      isAnswered = true;
      clearTimeout(timer);
      disconnected?.removeEventListener("abort", left);
      resolve(outcome);
    };
    const over = () => {
      run.isOver = true;
      run.onOver?.();
    };
    const give = (by: EndedBy) => {
      call.late = Promise.resolve(value).then(outcomeOf, errorOutcome);
      answer(expired(call, by));
    };
    const left = () => give("disconnect");
    const timer = setTimeout(() => give("deadline"), Math.min(call.remainingMs(), 2 ** 31 - 1));
    disconnected?.addEventListener("abort", left, { once: true });
    if (disconnected?.aborted === true) left();
    value.then(
      (result) => {
        over();
        if (isAnswered) parts.observer.lateResult(call);
        else answer(outcomeOf(result));
      },
      (error: unknown) => {
        over();
        if (!isAnswered) answer(failed(call, error, parts));
      },
    );
  });
}

function expired(call: Call, by: EndedBy): Outcome {
  call.end(by);
  return { status: "error", error: new RpcError(by === "deadline" ? 5003 : 5002) };
}

function failed(call: Call, thrown: unknown, { observer }: ExecuteParts): Outcome {
  if (!(thrown instanceof RpcError)) observer.unexpected(call, thrown);
  return errorOutcome(thrown);
}

/** Of a method that has one (contract 12.4). When it fails too, the first error counts. */
function fallback(
  call: Call,
  outcome: Outcome & { readonly status: "error" },
  parts: ExecuteParts,
): Outcome | Promise<Outcome> {
  const { fallback: handler } = call.definition;
  const isOurs = outcome.error.code === 5010 || countsAsFailure(outcome.error.code);
  if (handler === undefined || !isOurs || call.endedBy !== undefined) return outcome;
  return fallenBack(call, outcome, handler, parts);
}

async function fallenBack(
  call: Call,
  outcome: Outcome & { readonly status: "error" },
  handler: Handler,
  { log, observer }: ExecuteParts,
): Promise<Outcome> {
  try {
    const result = outcomeOf(await handler(call.asked.data, new HandlerContext(call, log)));
    call.headers.fallback = "true";
    observer.fellBack(call, outcome.error.code);
    return result;
  } catch {
    return outcome;
  }
}

/** What the breaker counts: faults of the server and of what stands behind it (contract 12.4). */
export function countsAsFailure(code: number): boolean {
  if (code === 5001 || code === 5010 || code === 5020 || code === 5021) return false;
  return code >= 5000 && code < 7000;
}

const isPromise = (value: unknown): value is PromiseLike<unknown> =>
  typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
