// The request envelope (contract 3.1), read once from whatever a transport decoded. Unknown fields are ignored at every level, a null is an
// absent field, and everything that is wrong is told at once.
import { type MethodName, methodName } from "./method-name.ts";
import {
  absent,
  type Fields,
  isFields,
  isSafeInteger,
  objectField,
  Problems,
  textField,
  textList,
} from "./problems.ts";
import { DEFAULT_QOS, type Qos, qos } from "./qos.ts";
import { type RequestMetadata, requestMetadata } from "./request-metadata.ts";
import { detail, RpcError } from "./rpc-error.ts";
import { type TraceContext, traceContext } from "./trace-context.ts";

export type IdMode = "string" | "uuid4" | "lenient";

export interface RpcRequest {
  readonly aduibRpc: string | undefined;
  readonly id: string;
  readonly method: MethodName;
  /** For the log only (contract 3.1). */
  readonly name: string | undefined;
  readonly data: Fields | null;
  readonly supportedVersions: readonly string[] | undefined;
  readonly trace: TraceContext | undefined;
  readonly metadata: RequestMetadata | undefined;
  readonly qos: Qos;
}

/** What could be read of a request that is not valid: enough to answer it. */
export interface RefusedRequest {
  readonly error: RpcError;
  /** Empty when it could not be read. */
  readonly id: string;
  readonly trace: TraceContext | undefined;
}

export type ReadRequest = { readonly request: RpcRequest } | RefusedRequest;

const MAX_VERSIONS = { items: 16, chars: 32 };
const MAX_ID = 128;
const ID = /^[\x21-\x7e]{1,128}$/;
const UUID4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/i;

export function readRequest(message: unknown, idMode: IdMode): ReadRequest {
  if (!isFields(message)) {
    const details = [detail("InvalidField", "the message must be an object")];
    return { error: new RpcError(1002, { details }), id: "", trace: undefined };
  }
  const problems = new Problems();
  const id = requestId(problems, message.id, idMode);
  const spoken = textField(problems, message, "aduib_rpc", "aduib_rpc");
  const method = requestMethod(problems, message.method);
  const name = textField(problems, message, "name", "name", { max: 256 });
  const data = objectField(problems, message, "data", "data") ?? null;
  const supportedVersions = textList(
    problems,
    message,
    "supported_versions",
    "supported_versions",
    MAX_VERSIONS,
  );
  const traced = objectField(problems, message, "trace_context", "trace_context");
  const trace = traced === undefined ? undefined : traceContext(problems, traced);
  const meta = objectField(problems, message, "metadata", "metadata");
  const metadata = meta === undefined ? undefined : requestMetadata(problems, meta);
  const asked = objectField(problems, message, "qos", "qos");
  const quality = asked === undefined ? DEFAULT_QOS : qos(problems, asked);
  const error = problems.error();
  if (error !== undefined || id === undefined || method === undefined)
    return { error: error ?? new RpcError(1002), id: id ?? "", trace };
  return {
    request: { aduibRpc: spoken, id, method, name, data, supportedVersions, trace, metadata, qos: quality },
  };
}

/** Contract 3.3. */
function requestId(problems: Problems, value: unknown, mode: IdMode): string | undefined {
  if (absent(value))
    return mode === "lenient" ? crypto.randomUUID() : problems.shape("id", "is required", "InvalidId");
  const text = isSafeInteger(value) ? String(value) : value;
  if (typeof text !== "string" || !ID.test(text))
    return problems.shape("id", `must have 1 to ${MAX_ID} printable ASCII characters`, "InvalidId");
  if (mode === "uuid4" && !UUID4.test(text))
    return problems.shape("id", "must be a UUID of version 4", "InvalidId");
  return text;
}

function requestMethod(problems: Problems, value: unknown): MethodName | undefined {
  const name = typeof value === "string" ? methodName(value) : undefined;
  if (name !== undefined) return name;
  const reason = absent(value) ? "is required" : "must be rpc.v2/<service>/<handler>";
  return problems.shape("method", reason, "InvalidMethod");
}
