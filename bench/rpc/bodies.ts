// The one call that the bench makes, in the four formats, and how its answers are read to see that they are right.
import { decode, encode } from "@msgpack/msgpack";
import avsc from "avsc";
import { Reader } from "protobufjs/minimal";
import { messageType } from "../../src/rpc/formats/aduib-proto.ts";
import { REQUEST_FINGERPRINT, requestSchema, responseSchema } from "../../src/rpc/formats/avro-schema.ts";
import { readValue, structBytes } from "../../src/rpc/formats/struct.ts";

export const FORMATS = ["json", "msgpack", "protobuf", "avro"] as const;
export type FormatName = (typeof FORMATS)[number];

/** What a small call of a program has: texts, numbers, a list, a level below. */
export const DATA = {
  order: "a-20948",
  amount: 1_299.5,
  items: [
    { sku: "k-1", count: 2 },
    { sku: "k-77", count: 1 },
  ],
  note: "delivered to the side door, in the morning if that can be done",
};

/** As a client sends it that says who it is and that is traced. */
export const ECHO = {
  aduib_rpc: "2.0",
  id: "5f2b8c1e-7d1c-4f0e-9a55-0d6a6a0c9a11",
  method: "rpc.v2/EchoService/Echo",
  data: DATA,
  trace_context: {
    trace_id: "4bf92f3577b34da6a3ce929d0e0e4736",
    span_id: "00f067aa0ba902b7",
    sampled: true,
  },
  metadata: { timestamp_ms: 1_790_000_000_000, client_id: "bench", client_version: "1.0" },
};

const AVRO_HEAD = 10;

export function encodedCall(format: FormatName): { readonly type: string; readonly body: Uint8Array } {
  const { data, trace_context, metadata } = ECHO;
  if (format === "json") return { type: "application/json", body: Buffer.from(JSON.stringify(ECHO)) };
  if (format === "msgpack") return { type: "application/msgpack", body: encode(ECHO) };
  if (format === "protobuf") {
    const message = { ...ECHO, data: structBytes(data) };
    return {
      type: "application/protobuf",
      body: messageType("Request")
        .encode(message as never)
        .finish(),
    };
  }
  const type = avsc.Type.forSchema(requestSchema as avsc.Schema, { wrapUnions: false });
  const nothing = { name: null, supported_versions: null, qos: null };
  const datum = type.toBuffer({
    ...ECHO,
    ...nothing,
    data: JSON.stringify(data),
    trace_context: { ...trace_context, parent_span_id: null, baggage: null },
    metadata: {
      ...metadata,
      auth: null,
      tenant_id: null,
      content_type: null,
      accept: null,
      compression: null,
      headers: null,
    },
  });
  const head = Buffer.concat([Buffer.from([0xc3, 0x01]), Buffer.from(REQUEST_FINGERPRINT, "hex").reverse()]);
  return { type: "application/avro", body: Buffer.concat([head, datum]) };
}

/** @throws unless it is this call's answer. */
export function checkAnswer(format: FormatName, body: Buffer): void {
  const { id, result } = readAnswer(format, body);
  if (id !== ECHO.id || !Bun.deepEquals(result, DATA))
    throw new Error(`no answer to this call: ${body.toString("latin1").slice(0, 500)}`);
}

function readAnswer(format: FormatName, body: Buffer): { id: unknown; result: unknown } {
  if (format === "json") return JSON.parse(body.toString()) as { id: unknown; result: unknown };
  if (format === "msgpack") return decode(body) as { id: unknown; result: unknown };
  if (format === "protobuf") {
    const { id, result } = messageType("Response").decode(body) as unknown as {
      id: string;
      result: Uint8Array;
    };
    return { id, result: readValue(Reader.create(result), result.byteLength) };
  }
  const type = avsc.Type.forSchema(responseSchema as avsc.Schema, { wrapUnions: false });
  const { id, result } = type.fromBuffer(body.subarray(AVRO_HEAD)) as { id: string; result: string };
  return { id, result: JSON.parse(result) };
}
