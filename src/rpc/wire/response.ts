// The response envelope (contract 3.2, 3.5). Fields without a value are left out, but for the result of a success, which is null then.
import type { ErrorBody } from "./rpc-error.ts";
import type { TraceContext } from "./trace-context.ts";

export interface Pagination {
  readonly total: number;
  readonly page: number;
  readonly page_size: number;
  readonly has_next: boolean;
  readonly cursor?: string;
}

export interface RateLimitInfo {
  readonly limit: number;
  readonly remaining: number;
  readonly reset_at_ms: number;
}

export interface ResponseMetadata {
  readonly timestamp_ms: number;
  /** From the first byte's stage to this answer, as the metrics have it. */
  readonly duration_ms: number;
  readonly server_id: string;
  readonly server_version: string;
  readonly pagination?: Pagination;
  readonly rate_limit?: RateLimitInfo;
  /** Keys in lower case. */
  readonly headers: Readonly<Record<string, string>>;
}

interface Common {
  readonly aduib_rpc: "2.0";
  /** Empty when it could not be read. */
  readonly id: string;
  readonly negotiated_version?: string;
  readonly trace_context?: Pick<TraceContext, "trace_id" | "span_id" | "parent_span_id" | "sampled">;
  readonly metadata: ResponseMetadata;
}

export interface SuccessResponse extends Common {
  readonly status: "success" | "partial";
  readonly result: unknown;
}

export interface ErrorResponse extends Common {
  readonly status: "error";
  readonly error: ErrorBody;
}

export type RpcResponse = SuccessResponse | ErrorResponse;
