// The span of a call in the JSON form of OTLP (contract 8). Ids and outcome only: nothing of what was said in the call.
import type { Call } from "../pipeline/call.ts";
import type { Outcome } from "../pipeline/outcome.ts";
import { methodOf } from "./access-line.ts";
import { cutText } from "./audit-value.ts";

const SERVER = 2;
const FAILED = 2;

type Attribute = { readonly key: string; readonly value: { readonly stringValue: string } };

export interface Span {
  readonly traceId: string;
  readonly spanId: string;
  readonly name: string;
  readonly kind: number;
  readonly [more: string]: unknown;
}

/** Undefined for a call that is not sampled, or was refused before it had a trace. */
export function spanOf(call: Call, outcome: Outcome): Span | undefined {
  const { trace, incoming, request } = call;
  if (trace === undefined || !trace.sampled) return undefined;
  const method = methodOf(call);
  const tookMs = Math.max(0, performance.now() - incoming.startedAt);
  return {
    traceId: trace.traceId,
    spanId: trace.spanId,
    parentSpanId: trace.parentSpanId,
    traceState: trace.state,
    name: `rpc ${method ?? "unknown"}`,
    kind: SERVER,
    startTimeUnixNano: `${incoming.startedAtMs}000000`,
    endTimeUnixNano: `${Math.round((incoming.startedAtMs + tookMs) * 1_000)}000`,
    attributes: attributes({
      "rpc.system": "aduib_rpc",
      "rpc.method": method,
      "rpc.request_id": call.id,
      "rpc.version": call.version,
      "tenant.id": call.tenant,
      "enduser.id": request === undefined ? undefined : call.identity.id,
      "enduser.roles": call.identity.roles.join(","),
      client_id: request?.metadata?.clientId,
      client_version: request?.metadata?.clientVersion,
      "error.code": outcome.status === "error" ? String(outcome.error.code) : undefined,
    }),
    status: outcome.status === "error" ? { code: FAILED, message: outcome.error.name } : {},
    links: trace.link === undefined ? undefined : [trace.link],
  };
}

const attributes = (all: Readonly<Record<string, string | undefined>>): Attribute[] =>
  Object.entries(all).flatMap(([key, value]) =>
    value === undefined || value === "" ? [] : [{ key, value: { stringValue: cutText(value) } }],
  );
