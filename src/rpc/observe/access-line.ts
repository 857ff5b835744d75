// One line of the log for each call that was answered (contract 17.1): who, what, how it ended. Nothing of what was said in it.
import type { ReadyLines } from "../../observability/ready-lines.ts";
import type { Call } from "../pipeline/call.ts";
import type { Outcome } from "../pipeline/outcome.ts";
import { type LogLevel, logLevelOf } from "../wire/error-codes.ts";

const RANK: Readonly<Record<LogLevel | "debug", number>> = { debug: 0, info: 1, warn: 2, error: 3 };

export function logAccess(
  lines: ReadyLines,
  call: Call,
  outcome: Outcome,
  durationMs: number,
  http: number,
): void {
  const { log_level: least, log_format: format } = call.config.observability;
  const code = outcome.status === "error" ? outcome.error.code : undefined;
  // What the client itself ended is nobody's fault.
  const isLeft = call.endedBy === "disconnect" || call.endedBy === "cancel";
  const level = code === undefined || isLeft ? "info" : logLevelOf(code);
  if (RANK[level] < RANK[least] || !lines.isEnabled(level)) return;
  const facts = factsOf(call, outcome, durationMs, http);
  if (format === "json") lines.write(level, asJson(facts), "rpc call");
  else lines.write(level, "", `rpc call ${asText(facts)}`);
}

type Facts = Readonly<Record<string, string | number | undefined>>;

function factsOf(call: Call, outcome: Outcome, durationMs: number, http: number): Facts {
  const { request, identity, trace, incoming } = call;
  return {
    method: methodOf(call),
    status: outcome.status,
    code: outcome.status === "error" ? outcome.error.code : undefined,
    http_status: http,
    duration_ms: durationMs,
    tenant_id: call.tenant,
    trace_id: trace?.traceId,
    span_id: trace?.spanId,
    request_id: call.id === "" ? undefined : call.id,
    name: request?.name,
    alias_of: call.aliasOf,
    attempts: call.attempt > 1 ? call.attempt : undefined,
    ended_by: call.endedBy,
    principal: request === undefined ? undefined : identity.id,
    client_id: request?.metadata?.clientId,
    client_version: request?.metadata?.clientVersion,
    transport: incoming.transport,
    kind: incoming.kind === "unary" ? undefined : incoming.kind,
    remote_address: incoming.peer.address,
    request_bytes: incoming.requestBytes,
  };
}

/** As members of an object, each with a comma before it. */
const asJson = (facts: Facts): string => {
  const text = JSON.stringify(facts);
  return text === "{}" ? "" : `,${text.slice(1, -1)}`;
};

/** As it was found, else as it was asked for. */
export const methodOf = ({ methodName, request }: Call): string | undefined =>
  methodName === "" ? request?.method.full : methodName;

/** `key=value`, with quotes where a value has a space or a line end in it: one line stays one line. */
function asText(facts: Facts): string {
  return Object.entries(facts)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => {
      const text = String(value);
      return `${key}=${/^[\w.:/@+-]+$/.test(text) ? text : JSON.stringify(text)}`;
    })
    .join(" ");
}
