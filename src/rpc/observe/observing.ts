// What happens to calls, told to whom it concerns (contract 17): one line in the log, figures, the audit, a span. All of one call have the
// same ids. Nothing here may hold up or fail a call.
import type { Logger } from "pino";
import type { ReadyLines } from "../../observability/ready-lines.ts";
import type { Call } from "../pipeline/call.ts";
import type { Outcome } from "../pipeline/outcome.ts";
import type { Observer } from "../pipeline/parts.ts";
import { logAccess } from "./access-line.ts";
import type { Audit, Ended } from "./audit.ts";
import type { CallMetrics } from "./call-metrics.ts";
import { type Span, spanOf } from "./span.ts";

export interface ObservingParts {
  readonly log: Logger;
  /** One for each call. */
  readonly accessLines: ReadyLines;
  readonly metrics: CallMetrics;
  readonly audit: Audit;
  /** Undefined without an endpoint. */
  readonly spans: { add(span: Span): void } | undefined;
  /** Figures of their own, of what ended. */
  readonly ended: (call: Call, outcome: Outcome) => void;
  readonly lateResult: () => void;
}

/** Of a call that runs. */
interface Running {
  readonly isOver: () => void;
  /** Its request is in the audit. */
  isAudited: boolean;
  /** The code that a fallback stands for. */
  fellBack: number | undefined;
}

const runningOf = (call: Call): Running | undefined => call.observed as Running | undefined;

export class Observing implements Observer {
  /** By method: when its last warning was (contract 15.3). */
  readonly #warned = new Map<string, number>();

  constructor(private readonly parts: ObservingParts) {}

  began(call: Call): void {
    const running: Running = {
      isOver: this.parts.metrics.began(call),
      isAudited: false,
      fellBack: undefined,
    };
    call.observed = running;
  }

  identified(call: Call): void {
    const running = runningOf(call);
    if (running === undefined || running.isAudited) return;
    running.isAudited = true;
    try {
      this.parts.audit.request(call);
    } catch (error) {
      this.#untold(error);
    }
  }

  ended(
    call: Call,
    outcome: Outcome,
    { durationMs, http }: { readonly durationMs: number; readonly http: number },
  ): void {
    const running = runningOf(call);
    call.observed = undefined;
    running?.isOver();
    // A result may do anything when it is looked at; its call goes on, and so does the rest of this.
    try {
      this.parts.ended(call, outcome);
      this.#count(call, outcome, durationMs, http);
    } catch (error) {
      this.#untold(error);
    }
    try {
      logAccess(this.parts.accessLines, call, outcome, durationMs, http);
    } catch (error) {
      this.#untold(error);
    }
    try {
      // What could not be read is no request.
      if (running !== undefined) this.#audit(call, running, outcome, durationMs);
    } catch (error) {
      this.#untold(error);
    }
    const { spans } = this.parts;
    if (spans === undefined) return;
    try {
      const span = spanOf(call, outcome);
      if (span !== undefined) spans.add(span);
    } catch (error) {
      this.#untold(error);
    }
  }

  #count(call: Call, outcome: Outcome, durationMs: number, http: number): void {
    if (!isCounted(call)) return;
    const { metrics } = this.parts;
    metrics.ended(call, outcome, durationMs, http);
    // What its client ended is nobody's error.
    const isLeft = call.endedBy === "disconnect" || call.endedBy === "cancel";
    if (outcome.status === "error" && !isLeft) metrics.failed(call, outcome.error.code);
    if (isLeft && call.incoming.kind === "unary") metrics.cancelled(call, "unary");
  }

  #audit(call: Call, { isAudited, fellBack }: Running, outcome: Outcome, durationMs: number): void {
    const { audit } = this.parts;
    const ended: Ended = { outcome, durationMs, fellBack };
    if (!isAudited) audit.request(call);
    if (isRefusedAtTheDoor(call, outcome)) audit.authFailed(call, ended);
    audit.response(call, ended);
  }

  #untold(error: unknown): void {
    this.parts.log.error({ err: error }, "what happened to a call could not be told");
  }

  answered(call: Call, bytes: number): void {
    if (isCounted(call)) this.parts.metrics.answered(call, bytes);
  }

  retried(call: Call): void {
    if (isCounted(call)) this.parts.metrics.further(call, "retries");
  }

  replayed(call: Call): void {
    if (isCounted(call)) this.parts.metrics.further(call, "replays");
  }

  lateResult(call: Call): void {
    this.parts.lateResult();
    if (isCounted(call)) this.parts.metrics.further(call, "late");
  }

  deprecatedCall(call: Call): void {
    if (isCounted(call)) this.parts.metrics.further(call, "deprecated");
    const now = performance.now();
    const { methodName: method } = call;
    if (now - (this.#warned.get(method) ?? Number.NEGATIVE_INFINITY) < WARN_EVERY_MS) return;
    // Names are of methods that there are or were.
    if (this.#warned.size >= MAX_WARNED) this.#warned.clear();
    this.#warned.set(method, now);
    this.parts.log.warn({ ...idsOf(call), method }, "a method that goes away was called");
  }

  fellBack(call: Call, code: number): void {
    const running = runningOf(call);
    if (running !== undefined) running.fellBack = code;
    if (isCounted(call)) this.parts.metrics.failed(call, code);
  }

  rateLimited(call: Call, isAllowed: boolean): void {
    if (isCounted(call)) this.parts.metrics.rateLimited(call, isAllowed);
    if (!isAllowed) this.parts.audit.rateLimited(call);
  }

  access(call: Call, isGranted: boolean): void {
    this.parts.audit.access(call, isGranted);
  }

  cancelled(call: Call, kind: "unary" | "stream"): void {
    if (isCounted(call)) this.parts.metrics.cancelled(call, kind);
  }

  unexpected(call: Call, error: unknown): void {
    this.parts.log.error(
      { err: error, ...idsOf(call), method: call.methodName },
      "a method failed unexpectedly",
    );
  }
}

const WARN_EVERY_MS = 60_000;
const MAX_WARNED = 1_000;

const isCounted = ({ config }: Call): boolean => config.observability.metrics_enabled;

const idsOf = ({ id, tenant, trace }: Call) => ({
  request_id: id,
  tenant_id: tenant,
  trace_id: trace?.traceId,
  span_id: trace?.spanId,
});

/** By the stage that finds out who calls; a method may answer with the same codes. */
function isRefusedAtTheDoor({ methodName }: Call, outcome: Outcome): boolean {
  if (outcome.status !== "error" || methodName !== "") return false;
  const { code } = outcome.error;
  return code === 3000 || code === 3001 || code === 3002;
}
