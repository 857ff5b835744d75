// Stage 16: the answer's envelope (contract 3.2, 3.5). What was set on the way is written here once, in one place.
import { httpStatusOf } from "../wire/error-codes.ts";
import type { ResponseMetadata, RpcResponse } from "../wire/response.ts";
import { errorBody } from "../wire/rpc-error.ts";
import type { Call } from "./call.ts";
import { debugInfo, isDebugOn } from "./debug.ts";
import type { Outcome } from "./outcome.ts";

export interface ServerName {
  readonly id: string;
  readonly version: string;
}

export interface Answer {
  readonly response: RpcResponse;
  readonly http: number;
  readonly durationMs: number;
}

export function respond(call: Call, outcome: Outcome, server: ServerName): Answer {
  const durationMs = Math.max(0, Math.floor(performance.now() - call.incoming.startedAt));
  const common = {
    aduib_rpc: "2.0" as const,
    id: call.id,
    ...(call.version !== undefined && { negotiated_version: call.version }),
    ...(call.trace !== undefined && {
      trace_context: {
        trace_id: call.trace.traceId,
        span_id: call.trace.spanId,
        ...(call.trace.parentSpanId !== undefined && { parent_span_id: call.trace.parentSpanId }),
        sampled: call.trace.sampled,
      },
    }),
    metadata: metadataOf(call, durationMs, server),
  };
  if (outcome.status !== "error") {
    const { status, result } = outcome;
    if (outcome.status === "partial" && outcome.pagination !== undefined)
      return {
        response: {
          ...common,
          status,
          result,
          metadata: { ...common.metadata, pagination: outcome.pagination },
        },
        http: 200,
        durationMs,
      };
    return { response: { ...common, status, result }, http: 200, durationMs };
  }
  const { error } = outcome;
  const debug = isDebugOn(call.config) ? { debug: debugInfo(error) } : undefined;
  return {
    response: { ...common, status: "error", error: { ...errorBody(error), ...debug } },
    http: call.incoming.routerStatus ?? httpStatusOf(error.code),
    durationMs,
  };
}

function metadataOf(call: Call, durationMs: number, { id, version }: ServerName): ResponseMetadata {
  const { contentType, contentEncoding } = call.incoming;
  return {
    timestamp_ms: Date.now(),
    duration_ms: durationMs,
    server_id: call.config.server.id ?? id,
    server_version: version,
    ...(call.pagination !== undefined && { pagination: call.pagination }),
    ...(call.rateLimit !== undefined && { rate_limit: call.rateLimit }),
    headers: {
      "content-type": contentType,
      ...(contentEncoding !== undefined && { "content-encoding": contentEncoding }),
      ...call.headers,
    },
  };
}
