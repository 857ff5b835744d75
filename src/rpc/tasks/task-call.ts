// The call that a task is when it runs (contract 13.3): of whoever submitted it, for its tenant, in its trace, with nothing of a connection.
import type { RpcDocument } from "../document/document.ts";
import { Call } from "../pipeline/call.ts";
import { holderOf } from "../store/shares.ts";
import { METHOD_PREFIX } from "../wire/method-name.ts";
import type { Fields } from "../wire/problems.ts";
import { newSpanId } from "../wire/trace-context.ts";
import type { Task } from "./task.ts";

export interface TaskCallParts {
  readonly task: Task;
  readonly params: Fields | null;
  readonly config: RpcDocument;
  /** Its caller does not want it any more. */
  readonly left?: AbortSignal;
}

export function taskCall({ task, params, config, left }: TaskCallParts): Call {
  const call = new Call({
    transport: "rest",
    kind: "unary",
    message: null,
    headers: new Headers(),
    peer: { address: "", isLoopback: false, certificate: null },
    config,
    startedAt: performance.now(),
    startedAtMs: Date.now(),
    requestBytes: 0,
    messageBytes: 0,
    disconnected: left,
    contentType: "application/json",
    contentEncoding: undefined,
  });
  const [service = "", handler = ""] = task.method.slice(METHOD_PREFIX.length).split("/");
  call.id = task.id;
  call.request = {
    aduibRpc: undefined,
    id: task.id,
    method: { full: task.method, service, handler },
    name: undefined,
    data: params,
    supportedVersions: undefined,
    trace: undefined,
    metadata: undefined,
    qos: {
      priority: task.priority,
      timeoutMs: task.timeoutMs ?? undefined,
      retry: undefined,
      idempotencyKey: undefined,
    },
  };
  call.version = task.protocolVersion;
  call.tenant = task.tenant;
  // What it submits itself takes the room of the same holder.
  const isBound = task.holder === holderOf(task.tenant, true, true);
  call.identity = { ...task.principal, tenant: isBound ? task.tenant : undefined };
  call.attempt = task.attempt;
  const { trace_id: traceId, span_id: parentSpanId, sampled, baggage } = task.trace;
  call.trace = {
    traceId,
    spanId: newSpanId(),
    parentSpanId,
    sampled,
    baggage,
    state: undefined,
    link: undefined,
  };
  return call;
}
