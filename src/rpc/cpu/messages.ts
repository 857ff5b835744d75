// What a method that blocks its thread is handed over a thread's border, and what comes back: plain values, because functions do not cross.
import type { CallTrace } from "../pipeline/call.ts";
import type { CallContext } from "../registry/call-context.ts";
import type { CpuModule, Data } from "../registry/definition.ts";
import type { Pagination } from "../wire/response.ts";
import type { ErrorDetail } from "../wire/rpc-error.ts";

/** Of its context, what is a value. */
export type CallFacts = Pick<
  CallContext,
  | "request_id"
  | "method"
  | "service"
  | "handler"
  | "transport"
  | "negotiated_version"
  | "tenant_id"
  | "tenant_proved"
  | "principal"
  | "client_id"
  | "client_version"
  | "headers"
  | "trace"
  | "deadline_ms"
  | "priority"
  | "idempotency_key"
  | "attempt"
  | "peer"
>;

export interface CpuCall {
  /** Of the thread: what a call left behind is not taken for the next one's. */
  readonly number: number;
  readonly module: CpuModule;
  readonly data: Data;
  readonly facts: CallFacts;
  /** For the calls that it makes itself. */
  readonly trace: CallTrace | undefined;
}

export const LOG_LEVELS = ["trace", "debug", "info", "warn", "error", "fatal"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export type CpuAnswer =
  | { readonly kind: "result"; readonly result: unknown }
  | { readonly kind: "partial"; readonly result: unknown; readonly pagination: Pagination | undefined }
  /** An error that it threw on purpose. */
  | {
      readonly kind: "refused";
      readonly code: number;
      readonly name: string;
      readonly message: string;
      readonly details: readonly ErrorDetail[];
      readonly retryAfterMs: number | undefined;
    }
  /** Anything else that it threw: for the log, and where debugging is on. */
  | { readonly kind: "failed"; readonly name: string; readonly message: string; readonly stack: string };

/** While it runs. */
export type CpuNews =
  | {
      readonly kind: "log";
      readonly level: LogLevel;
      readonly fields: object;
      readonly text: string | undefined;
    }
  | {
      readonly kind: "progress";
      readonly current: number;
      readonly total: number;
      readonly message: string | undefined;
    };

export interface CpuMessage {
  readonly number: number;
  readonly said: CpuAnswer | CpuNews;
}

export function factsOf(context: CallContext): CallFacts {
  const { request_id, method, service, handler, transport, negotiated_version, tenant_id } = context;
  const { tenant_proved, principal, client_id, client_version, headers, trace, deadline_ms } = context;
  const { priority, idempotency_key, attempt, peer } = context;
  return {
    request_id,
    method,
    service,
    handler,
    transport,
    negotiated_version,
    tenant_id,
    tenant_proved,
    principal,
    client_id,
    client_version,
    headers,
    trace,
    deadline_ms,
    priority,
    idempotency_key,
    attempt,
    peer,
  };
}
