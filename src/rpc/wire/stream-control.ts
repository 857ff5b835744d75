// What a client says of a stream that it reads, in a request of its own (contract 7.6): it wants no more, or it has everything up to a
// number. Read once, everything that is wrong is told at once.
import type { MethodName } from "./method-name.ts";
import {
  absent,
  type Fields,
  isFields,
  isSafeInteger,
  objectField,
  Problems,
  textField,
} from "./problems.ts";
import { DEFAULT_QOS } from "./qos.ts";
import type { ReadRequest, RpcRequest } from "./request.ts";
import { requestMetadata } from "./request-metadata.ts";
import { detail, RpcError } from "./rpc-error.ts";

/** Which stream: by the id that the server gave it, by its request's id, or by both. */
export interface StreamName {
  readonly streamId: string | undefined;
  readonly requestId: string | undefined;
}

export type StreamWish =
  | { readonly type: "cancel"; readonly reason: string | undefined }
  | { readonly type: "ack"; readonly sequence: number };

export interface ControlRequest extends StreamName {
  readonly wish: StreamWish;
}

/** In place of a method's, for whoever looks at a call. */
const NAMES = {
  control: { full: "rpc.v2/stream/control", service: "stream", handler: "control" },
  resume: { full: "rpc.v2/stream/resume", service: "stream", handler: "resume" },
} as const satisfies Record<string, MethodName>;

const MAX_ID = 128;
const MAX_REASON = 1_024;

export type ReadControl = ReadRequest & { readonly control?: ControlRequest };

export function readControl(message: unknown): ReadControl {
  if (!isFields(message)) {
    const details = [detail("InvalidField", "the message must be an object")];
    return { error: new RpcError(1002, { details }), id: "", trace: undefined };
  }
  const problems = new Problems();
  const streamId = textField(problems, message, "stream_id", "stream_id", { min: 1, max: MAX_ID });
  const requestId = isSafeInteger(message.id)
    ? String(message.id)
    : textField(problems, message, "id", "id", { min: 1, max: MAX_ID });
  if (absent(message.stream_id) && absent(message.id)) problems.missing("stream_id");
  const wish = streamWish(problems, message);
  const asked = objectField(problems, message, "metadata", "metadata");
  // Only these two are read here, so nothing else of it can be wrong.
  const metadata =
    asked && requestMetadata(problems, { timestamp_ms: 0, auth: asked.auth, tenant_id: asked.tenant_id });
  const id = requestId ?? "";
  const error = problems.error();
  if (error !== undefined || wish === undefined)
    return { error: error ?? new RpcError(1002), id, trace: undefined };
  return { request: implied("control", id, metadata), control: { streamId, requestId, wish } };
}

/** Of a request that has no envelope: what it says, it says in headers. */
export const resumeRequest = (): ReadRequest => ({ request: implied("resume", "", undefined) });

function implied(name: keyof typeof NAMES, id: string, metadata: RpcRequest["metadata"]): RpcRequest {
  return {
    aduibRpc: undefined,
    id,
    method: NAMES[name],
    name: undefined,
    data: null,
    supportedVersions: undefined,
    trace: undefined,
    metadata,
    qos: DEFAULT_QOS,
  };
}

function streamWish(problems: Problems, from: Fields): StreamWish | undefined {
  if (absent(from.message)) return problems.missing("message");
  const message = objectField(problems, from, "message", "message");
  if (message === undefined) return undefined;
  for (const key of ["sequence", "timestamp_ms"])
    if (!absent(message[key]) && !isSafeInteger(message[key]))
      problems.shape(`message.${key}`, "must be an integer");
  const payload = objectField(problems, message, "payload", "message.payload");
  const control = payload && objectField(problems, payload, "control", "message.payload.control");
  const type = absent(message.type)
    ? problems.missing("message.type")
    : textField(problems, message, "type", "message.type");
  if (type === undefined) return undefined;
  const path = "message.payload.control";
  if (type === "cancel") {
    const reason = control && textField(problems, control, "reason", `${path}.reason`, { max: MAX_REASON });
    return { type, reason };
  }
  if (type !== "ack") return problems.value("message.type", "must be cancel or ack");
  const sequence = control?.ack_sequence;
  if (absent(sequence)) return problems.missing(`${path}.ack_sequence`);
  if (!isSafeInteger(sequence)) return problems.shape(`${path}.ack_sequence`, "must be an integer");
  return { type, sequence };
}
