// The context of a handler, made from its call (contract 9.4). Its parts are made when a handler asks for them.
import type { Logger } from "pino";
import {
  type CallContext,
  Fragment,
  type HandlerTrace,
  PartialResult,
  type PeerSummary,
  type Principal,
} from "../registry/call-context.ts";
import { told } from "../security/certificate-summary.ts";
import { isSensitive, REDACTED } from "../wire/redact.ts";
import type { Pagination } from "../wire/response.ts";
import type { Call } from "./call.ts";
import { carryTrace } from "./carry-trace.ts";
import { dependencyError } from "./dependency-error.ts";

/** Of HTTP, and no envelope may say otherwise. */
const FROM_TRANSPORT = new Set([
  "authorization",
  "cookie",
  "x-api-key",
  "x-tenant-id",
  "x-forwarded-for",
  "traceparent",
]);

async function* nothing(): AsyncGenerator<never> {}

export class HandlerContext implements CallContext {
  readonly #call: Call;
  readonly #log: Logger;
  #headers: Readonly<Record<string, string>> | undefined;
  #ownLog: Logger | undefined;

  constructor(call: Call, log: Logger) {
    this.#call = call;
    this.#log = log;
  }

  get request_id(): string {
    return this.#call.id;
  }
  get method(): string {
    return this.#call.methodName;
  }
  get service(): string {
    return this.#call.definition.service;
  }
  get handler(): string {
    return this.#call.definition.handler;
  }
  get transport() {
    return this.#call.incoming.transport;
  }
  get negotiated_version(): string {
    return this.#call.version ?? "";
  }
  get tenant_id(): string {
    return this.#call.tenant;
  }
  get tenant_proved(): boolean {
    return this.#call.isTenantProved;
  }
  get principal(): Principal {
    const { id, type, roles, scopes, verified, auth_scheme } = this.#call.identity;
    return { id, type, roles, scopes, verified, auth_scheme };
  }
  get client_id(): string | null {
    return this.#call.asked.metadata?.clientId ?? null;
  }
  get client_version(): string | null {
    return this.#call.asked.metadata?.clientVersion ?? null;
  }
  get headers(): Readonly<Record<string, string>> {
    this.#headers ??= Object.freeze(headersOf(this.#call));
    return this.#headers;
  }
  get trace(): HandlerTrace {
    const trace = this.#call.trace;
    return {
      trace_id: trace?.traceId ?? "",
      span_id: trace?.spanId ?? "",
      parent_span_id: trace?.parentSpanId ?? null,
      sampled: trace?.sampled ?? false,
      baggage: trace?.baggage ?? {},
    };
  }
  get deadline_ms(): number | null {
    const left = this.#call.remainingMs();
    return Number.isFinite(left) ? Math.round(Date.now() + left) : null;
  }
  get signal(): AbortSignal {
    return this.#call.signal;
  }
  get priority() {
    return this.#call.asked.qos.priority;
  }
  get idempotency_key(): string | null {
    return this.#call.asked.qos.idempotencyKey ?? null;
  }
  get attempt(): number {
    return this.#call.attempt;
  }
  get peer(): PeerSummary | null {
    const { certificate } = this.#call.incoming.peer;
    return certificate && told(certificate);
  }
  get log(): Logger {
    this.#ownLog ??= callLog(this.#call, this.#log);
    return this.#ownLog;
  }
  get items(): AsyncIterable<unknown> {
    return this.#call.incoming.items ?? nothing();
  }

  /** With a span of the client between this call's and the callee's. */
  fetch(input: string | URL, init: RequestInit = {}): Promise<Response> {
    const headers = new Headers(init.headers);
    const { trace } = this.#call;
    if (trace !== undefined) carryTrace(headers, trace);
    return fetch(input, { signal: this.signal, ...init, headers }).catch((error: unknown) => {
      throw dependencyError(error);
    });
  }

  emit_progress(current: number, total: number, message?: string): void {
    const percentage = total > 0 ? (current / total) * 100 : undefined;
    this.#call.progress?.({
      current,
      total,
      ...(message !== undefined && { message }),
      ...(percentage !== undefined && { percentage }),
    });
  }

  partial(result: unknown, pagination?: Pagination): PartialResult {
    return new PartialResult(result, pagination);
  }

  fragment(data: unknown): Fragment {
    return new Fragment(data);
  }
}

const RANKS = ["debug", "info", "warn", "error"];

/** With the ids of its call, at the level that the document says, or the server's where that is higher. */
function callLog({ trace, id, tenant, methodName, config }: Call, log: Logger): Logger {
  const { log_level: least } = config.observability;
  const own = RANKS.indexOf(log.level);
  const level =
    own >= 0 ? RANKS[Math.max(own, RANKS.indexOf(least))] : log.level === "trace" ? least : undefined;
  return log.child(
    {
      trace_id: trace?.traceId,
      span_id: trace?.spanId,
      request_id: id,
      tenant_id: tenant,
      method: methodName,
    },
    level === undefined ? {} : { level },
  );
}

function headersOf({ incoming, request }: Call): Record<string, string> {
  const all: Record<string, string> = {};
  const put = (name: string, value: string) =>
    Object.defineProperty(all, name, {
      value: isSensitive(name) ? REDACTED : value,
      enumerable: true,
      configurable: true,
    });
  incoming.headers.forEach((value, name) => {
    put(name.toLowerCase(), value);
  });
  for (const [name, value] of Object.entries(request?.metadata?.headers ?? {})) {
    const lower = name.toLowerCase();
    if (!FROM_TRANSPORT.has(lower)) put(lower, value);
  }
  return all;
}
