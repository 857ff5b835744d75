// What a handler sees of its call (contract 9.4). It cannot be changed, and nothing secret is in it.
import type { Logger } from "pino";
import type { Priority } from "../wire/qos.ts";
import type { Pagination } from "../wire/response.ts";

export type Transport = "rest" | "jsonrpc" | "grpc" | "thrift";

export interface Principal {
  readonly id: string;
  /** user, service, api_key, anonymous, or the caller's own word. */
  readonly type: string;
  readonly roles: readonly string[];
  readonly scopes: readonly string[];
  /** Proved; otherwise it is only what the caller says. */
  readonly verified: boolean;
  readonly auth_scheme: string | null;
}

/** What may be told of a client certificate (contract 18.4). */
export interface PeerSummary {
  readonly common_name: string | null;
  readonly san_dns: readonly string[];
  readonly san_uri: readonly string[];
  readonly issuer: string | null;
  readonly serial: string;
  readonly fingerprint: string;
  readonly not_before: string;
  readonly not_after: string;
}

export interface HandlerTrace {
  readonly trace_id: string;
  readonly span_id: string;
  readonly parent_span_id: string | null;
  readonly sampled: boolean;
  readonly baggage: Readonly<Record<string, string>>;
}

export interface Progress {
  readonly current: number;
  readonly total: number;
  readonly message?: string;
  readonly percentage?: number;
}

export interface CallContext {
  readonly request_id: string;
  readonly method: string;
  readonly service: string;
  readonly handler: string;
  readonly transport: Transport;
  readonly negotiated_version: string;
  readonly tenant_id: string;
  /** The principal is proved and bound to this tenant; otherwise the caller named it. */
  readonly tenant_proved: boolean;
  readonly principal: Principal;
  readonly client_id: string | null;
  readonly client_version: string | null;
  /** Keys in lower case; values of sensitive ones are replaced. */
  readonly headers: Readonly<Record<string, string>>;
  readonly trace: HandlerTrace;
  /** Unix milliseconds; null without a deadline. */
  readonly deadline_ms: number | null;
  /** Fires when the deadline passes, the client leaves or the call is cancelled. */
  readonly signal: AbortSignal;
  readonly priority: Priority;
  readonly idempotency_key: string | null;
  /** 1 for the first. */
  readonly attempt: number;
  readonly peer: PeerSummary | null;
  readonly log: Logger;
  /** The messages after the first of a method with `streamingInput`; empty for others. */
  readonly items: AsyncIterable<unknown>;
  /** An HTTP call that carries this call's trace (contract 8). @throws RpcError 6002 not reached, 6001 late, 6000 broken off (5.3) */
  fetch(input: string | URL, init?: RequestInit): Promise<Response>;
  /** Of a task; elsewhere it has no effect. */
  emit_progress(current: number, total: number, message?: string): void;
  /** A result that is known to be incomplete. */
  partial(result: unknown, pagination?: Pagination): PartialResult;
  /** A fragment of the item that a stream gives next. */
  fragment(data: unknown): Fragment;
}

/** Status `partial`. */
export class PartialResult {
  constructor(
    readonly result: unknown,
    readonly pagination: Pagination | undefined,
  ) {}
}

/** A frame of the type `partial`. */
export class Fragment {
  constructor(readonly data: unknown) {}
}
