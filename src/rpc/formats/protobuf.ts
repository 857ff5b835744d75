// Protobuf bodies (contract 11.4, 19): a Request or a Response. An enum's UNSPECIFIED is an absent field, and so is an empty id; priorities
// are shifted by one; what is not a string in a detail's metadata is its JSON text.
import { Reader } from "protobufjs/minimal";
import { OverBudget } from "../../limits/body-budget.ts";
import { COMPRESSIONS, CONTENT_TYPES } from "../document/document.ts";
import { type Fields, isFields } from "../wire/problems.ts";
import type { RpcResponse } from "../wire/response.ts";
import { type ErrorBody, type ErrorDetail, RpcError } from "../wire/rpc-error.ts";
import { messageType } from "./aduib-proto.ts";
import { type Claim, type Format, UNCLAIMED } from "./format.ts";
import { readStruct, valueBytes } from "./struct.ts";
import { ValueCount } from "./value-count.ts";
import { wellFormed } from "./well-formed.ts";

const requestType = messageType("Request");
const responseType = messageType("Response");

const COMPRESSION = ["none", ...COMPRESSIONS] as const;
const SCHEME = ["bearer", "api_key", "mtls"] as const;
const STATUS = { success: 1, error: 2, partial: 3 } as const;

export const protobufFormat: Format = {
  contentType: "application/protobuf",
  decode: (bytes, claim = UNCLAIMED) => {
    try {
      checkHead(bytes);
      return requestOf(requestType.decode(bytes) as unknown as Fields, claim);
    } catch (cause) {
      if (cause instanceof RpcError || cause instanceof OverBudget) throw cause;
      throw new RpcError(1003, { message: "the body is no protobuf message", cause });
    }
  },
  encode: (response) =>
    responseType.encode(responseMessage(response) as never).finish() as Uint8Array<ArrayBuffer>,
};

const DATA = 5;
/** Far more than all that an envelope may have beside its data. */
const MAX_HEAD_BYTES = 2 * 1024 * 1024;

/** What stands beside the data becomes objects as it is read, so there is not much of it. @throws RpcError 2004 */
function checkHead(bytes: Uint8Array): void {
  if (bytes.byteLength <= MAX_HEAD_BYTES) return;
  const reader = Reader.create(bytes);
  let head = 0;
  while (reader.pos < reader.len) {
    const start = reader.pos;
    const tag = reader.uint32();
    reader.skipType(tag & 7);
    if (tag >>> 3 !== DATA) head += reader.pos - start;
    if (head > MAX_HEAD_BYTES)
      throw new RpcError(2004, {
        message: `an envelope has more than ${MAX_HEAD_BYTES} bytes beside its data`,
      });
  }
}

/** Told after it is made: until then the bound of its values holds. */
function structOf(data: Uint8Array, claim: Claim): Fields {
  const count = new ValueCount();
  const value = readStruct(Reader.create(data), data.byteLength, 1, count);
  claim(count.bytes);
  return value;
}

/** Undefined for an empty one, which is how an absent one looks. */
const text = (value: unknown) => (value === "" ? undefined : value);
const unlessZero = (value: unknown) => (value === 0 ? undefined : value);
const fields = (value: unknown): Fields | undefined => (isFields(value) ? value : undefined);
const own = (value: unknown): unknown => (isFields(value) ? { ...value } : value);

/** The name of an enum's number; what the list does not have is told by its number, which no check accepts. */
function named(list: readonly string[], value: unknown): unknown {
  if (typeof value !== "number" || value === 0) return undefined;
  return list[value - 1] ?? String(value);
}

function requestOf(message: Fields, claim: Claim): Fields {
  const { aduib_rpc, id, method, data, name, supported_versions, trace_context, metadata, qos } = message;
  const trace = fields(trace_context);
  return {
    aduib_rpc: text(aduib_rpc),
    id: text(id),
    method: text(method),
    name,
    data: data instanceof Uint8Array ? structOf(data, claim) : undefined,
    supported_versions,
    // A plain bool: left out it is false (contract 19).
    trace_context: trace && { ...trace, sampled: trace.sampled === true, baggage: own(trace.baggage) },
    metadata: metadataOf(fields(metadata)),
    qos: qosOf(fields(qos)),
  };
}

function metadataOf(metadata: Fields | undefined): Fields | undefined {
  if (metadata === undefined) return undefined;
  const auth = fields(metadata.auth);
  const accept = metadata.accept;
  return {
    ...metadata,
    timestamp_ms: unlessZero(metadata.timestamp_ms),
    auth: auth && { ...auth, scheme: named(SCHEME, auth.scheme) },
    content_type: named(CONTENT_TYPES, metadata.content_type),
    accept:
      Array.isArray(accept) && accept.length > 0
        ? accept.map((value: unknown) => named(CONTENT_TYPES, value) ?? "unspecified")
        : undefined,
    compression: named(COMPRESSION, metadata.compression),
    headers: own(metadata.headers),
  };
}

function qosOf(qos: Fields | undefined): Fields | undefined {
  if (qos === undefined) return undefined;
  const retry = fields(qos.retry);
  const { priority } = qos;
  const codes = retry?.retryable_codes;
  return {
    priority: typeof priority === "number" && priority > 0 ? priority - 1 : undefined,
    timeout_ms: unlessZero(qos.timeout_ms),
    idempotency_key: qos.idempotency_key,
    // The released client sends zeros for what it does not set.
    retry: retry && {
      max_attempts: unlessZero(retry.max_attempts),
      initial_delay_ms: unlessZero(retry.initial_delay_ms),
      max_delay_ms: unlessZero(retry.max_delay_ms),
      backoff_multiplier: unlessZero(retry.backoff_multiplier),
      retryable_codes: Array.isArray(codes) && codes.length > 0 ? codes : undefined,
    },
  };
}

/** As the message has it; without undefined members, which the encoder would refuse. */
export function responseMessage(response: RpcResponse): Fields {
  const { aduib_rpc, id, status, negotiated_version, trace_context } = response;
  return {
    aduib_rpc,
    id,
    status: STATUS[status],
    ...(response.status === "error"
      ? { error: errorMessage(wellFormed(response.error)) }
      : { result: valueBytes(response.result) }),
    ...(trace_context !== undefined && { trace_context }),
    metadata: wellFormed(response.metadata),
    ...(negotiated_version !== undefined && { negotiated_version }),
  };
}

export function errorMessage({ details = [], ...error }: ErrorBody): Fields {
  return { ...error, details: details.map(detailMessage) };
}

function detailMessage({ metadata, ...rest }: ErrorDetail): Fields {
  if (metadata === undefined) return { ...rest };
  const texts = Object.entries(metadata)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => [key, typeof value === "string" ? value : JSON.stringify(value)]);
  return { ...rest, metadata: Object.fromEntries(texts) };
}
