// Avro bodies: single object encoding, that is two marker bytes, the fingerprint of the schema, the datum (contract 11.4, 20). Data and
// result are JSON text in a string.
import avsc from "avsc";
import { isFields } from "../wire/problems.ts";
import type { RpcResponse } from "../wire/response.ts";
import { RpcError } from "../wire/rpc-error.ts";
import { REQUEST_FINGERPRINT, RESPONSE_FINGERPRINT, requestSchema, responseSchema } from "./avro-schema.ts";
import { checkAvro } from "./avro-shape.ts";
import { type Format, UNCLAIMED } from "./format.ts";
import { parseJson } from "./json.ts";

const requestType = avsc.Type.forSchema(requestSchema as avsc.Schema);
const responseType = avsc.Type.forSchema(responseSchema as avsc.Schema);
const HEAD_BYTES = 10;

/** Little endian on the wire. */
const head = (fingerprint: string): Buffer =>
  Buffer.concat([Buffer.from([0xc3, 0x01]), Buffer.from(fingerprint, "hex").reverse()]);
const REQUEST_HEAD = head(REQUEST_FINGERPRINT);
const RESPONSE_HEAD = head(RESPONSE_FINGERPRINT);

export const avroFormat: Format = {
  contentType: "application/avro",
  decode: (bytes, claim = UNCLAIMED) => {
    const body = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (!body.subarray(0, HEAD_BYTES).equals(REQUEST_HEAD))
      throw new RpcError(1003, {
        message: "the body has not the marker and the fingerprint of an Avro request",
      });
    const datum = body.subarray(HEAD_BYTES);
    checkAvro(datum, requestSchema, claim);
    let message: unknown;
    try {
      message = requestType.fromBuffer(datum);
    } catch (cause) {
      throw new RpcError(1003, { message: "the body is no Avro request", cause });
    }
    if (!isFields(message)) throw new RpcError(1003);
    const { data } = message;
    return { ...message, data: typeof data === "string" ? parseJson(data, claim) : null };
  },
  encode: (response) => {
    const datum = responseType.toBuffer(datumOf(response));
    const whole = new Uint8Array(HEAD_BYTES + datum.byteLength);
    whole.set(RESPONSE_HEAD);
    whole.set(datum, HEAD_BYTES);
    return whole;
  },
};

const none = <T>(value: T | undefined): T | null => value ?? null;

/** Every field of the schema, since an absent one is a null there. */
function datumOf(response: RpcResponse) {
  const { aduib_rpc, id, status, negotiated_version, trace_context: trace, metadata } = response;
  const { pagination } = metadata;
  return {
    aduib_rpc,
    id,
    status,
    result: response.status === "error" ? null : JSON.stringify(response.result ?? null),
    error: response.status === "error" ? errorOf(response.error) : null,
    negotiated_version: none(negotiated_version),
    trace_context: trace ? { ...trace, parent_span_id: none(trace.parent_span_id), baggage: null } : null,
    metadata: {
      ...metadata,
      pagination: pagination ? { ...pagination, cursor: none(pagination.cursor) } : null,
      rate_limit: none(metadata.rate_limit),
    },
  };
}

function errorOf({ details, debug, ...error }: Extract<RpcResponse, { status: "error" }>["error"]) {
  return {
    ...error,
    details: none(
      details?.map(({ type, field, reason, metadata }) => ({
        type,
        field: none(field),
        reason,
        metadata: metadata === undefined ? null : JSON.stringify(metadata),
      })),
    ),
    debug: debug
      ? { ...debug, stack_trace: none(debug.stack_trace), internal_message: none(debug.internal_message) }
      : null,
  };
}
