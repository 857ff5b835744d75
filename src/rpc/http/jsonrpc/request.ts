// JSON-RPC 2.0 requests as requests of the room (contract 26.2). One object is read by itself: what is wrong with it is its own error, and
// its id comes back where it can be read.
import { methodName } from "../../wire/method-name.ts";
import { absent, type Fields, isFields, isSafeInteger } from "../../wire/problems.ts";
import { detail, RpcError, rpcError } from "../../wire/rpc-error.ts";

/** Null: it could not be read. */
export type JsonRpcId = string | number | null;

export const PARSE_ERROR = -32_700;
export const INVALID_REQUEST = -32_600;

export interface JsonRpcRequest {
  readonly id: JsonRpcId;
  /** For the pipeline; undefined where there is none. */
  readonly message: Fields | undefined;
  /** The method whose kind decides how it is answered. */
  readonly target: string;
  /** Asked for by the name of an endpoint, which takes any method. */
  readonly endpoint: "unary" | "stream" | undefined;
  /** Its answer is the bare message of a service, without an envelope. */
  readonly isBare: boolean;
  readonly refused?: RpcError;
  /** Instead of the refusal's own code. */
  readonly code?: number;
}

/** Of these, params without an envelope are the message itself (contract 1). */
const BARE_SERVICES: ReadonlySet<string> = new Set(["TaskService", "HealthService", "DiscoveryService"]);

const ENDPOINTS = "rpc.v2/AduibRpcService/";
const NO_ID = { message: undefined, target: "", endpoint: undefined, isBare: false };

export const invalidRequest = (id: JsonRpcId, reason: string, field?: string): JsonRpcRequest => ({
  ...NO_ID,
  id,
  refused: new RpcError(1002, {
    details: [detail("InvalidField", reason, field === undefined ? {} : { field })],
  }),
  code: INVALID_REQUEST,
});

export function jsonRpcRequest(value: unknown): JsonRpcRequest {
  if (!isFields(value)) return invalidRequest(null, "must be a request object");
  const { id, jsonrpc, method, params } = value;
  if (typeof id !== "string" && !isSafeInteger(id))
    return invalidRequest(
      null,
      absent(id) ? "is required: notifications are not served" : "must be a string or a whole number",
      "id",
    );
  if (!absent(jsonrpc) && jsonrpc !== "2.0") return invalidRequest(id, 'must be "2.0"', "jsonrpc");
  if (typeof method !== "string") return invalidRequest(id, "must be a string", "method");
  if (!absent(params) && typeof params !== "object") return invalidRequest(id, "must be an object", "params");
  return callOf(id, method, params ?? undefined);
}

function callOf(id: string | number, outer: string, params: object | undefined): JsonRpcRequest {
  const name = methodName(outer);
  const implied = {
    id,
    message: { aduib_rpc: "2.0", id: String(id), method: outer, data: null },
    target: name?.full ?? "",
    endpoint: undefined,
    isBare: name !== undefined && BARE_SERVICES.has(name.service),
  };
  const isOneWay =
    name?.full === `${ENDPOINTS}CallClientStream` || name?.full === `${ENDPOINTS}CallBidirectional`;
  if (isOneWay) return { ...implied, refused: new RpcError(5001) };
  if (Array.isArray(params))
    return { ...implied, refused: rpcError(2001, "InvalidField", "must be an object", { field: "params" }) };
  const fields = params as Fields | undefined;
  if (fields === undefined || absent(fields.method))
    return { ...implied, message: { ...implied.message, data: fields ?? null } };
  return enveloped(id, outer, fields);
}

/** `params` is an envelope of its own. */
function enveloped(id: string | number, outer: string, message: Fields): JsonRpcRequest {
  const name = methodName(outer)?.full;
  const inner = typeof message.method === "string" ? methodName(message.method)?.full : undefined;
  const call = { id, message, target: inner ?? "", endpoint: undefined, isBare: false };
  if (name === `${ENDPOINTS}Call`) return { ...call, endpoint: "unary" };
  if (name === `${ENDPOINTS}CallServerStream`) return { ...call, endpoint: "stream" };
  // Two names that are none agree as they are written; the envelope is refused for its own then.
  if (name === inner && (name !== undefined || outer === message.method)) return call;
  return {
    ...call,
    refused: rpcError(1002, "InvalidMethod", "must be the method that is called", { field: "params.method" }),
  };
}
