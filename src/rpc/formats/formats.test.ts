// The four formats, against the contract's vectors (V29 to V31) and against bodies that are made to hurt.
import { describe, expect, test } from "bun:test";
import { encode as msgpack } from "@msgpack/msgpack";
import avsc from "avsc";
import { Reader } from "protobufjs/minimal";
import type { RpcResponse } from "../wire/response.ts";
import { messageType } from "./aduib-proto.ts";
import { avroFormat } from "./avro.ts";
import { REQUEST_FINGERPRINT, RESPONSE_FINGERPRINT, requestSchema, responseSchema } from "./avro-schema.ts";
import { jsonFormat } from "./json.ts";
import { msgpackFormat } from "./msgpack.ts";
import { protobufFormat } from "./protobuf.ts";
import { readStruct, readValue, structBytes, valueBytes } from "./struct.ts";

const ID = "550e8400-e29b-41d4-a716-446655440000";
const ECHO = { aduib_rpc: "2.0", id: ID, method: "rpc.v2/EchoService/Echo", data: { text: "hi" } };
const hex = (text: string) => Uint8Array.fromHex(text);
const MSGPACK =
  "84a961647569625f727063a3322e30a26964d92435353065383430302d653239622d343164342d613731362d343436363535343430303030a66d6574686f64b77270632e76322f4563686f536572766963652f4563686fa46461746181a474657874a26869";
const PROTOBUF =
  "0a03322e30122435353065383430302d653239622d343164342d613731362d3434363635353434303030301a177270632e76322f4563686f536572766963652f4563686f2a0e0a0c0a047465787412041a026869";
const PROTOBUF_ANSWER =
  "0a03322e30122435353065383430302d653239622d343164342d613731362d343436363535343430303030180122102a0e0a0c0a0474657874120 41a0268694203322e30".replace(
    " ",
    "",
  );
const AVRO =
  "c3012158b3d02f47acbc06322e304835353065383430302d653239622d343164342d613731362d3434363635353434303030302e7270632e76322f4563686f536572766963652f4563686f00021a7b2274657874223a226869227d00000000";

function code(work: () => unknown): unknown {
  try {
    return work();
  } catch (error) {
    return (error as { code?: unknown }).code;
  }
}

const answer = (more: object = {}): RpcResponse =>
  ({
    aduib_rpc: "2.0",
    id: ID,
    status: "success",
    result: { text: "hi" },
    negotiated_version: "2.0",
    metadata: { timestamp_ms: 1, duration_ms: 2, server_id: "s", server_version: "v", headers: {} },
    ...more,
  }) as RpcResponse;

describe("the same request in every format", () => {
  test.each([
    ["JSON", jsonFormat, Buffer.from(JSON.stringify(ECHO))],
    ["MessagePack", msgpackFormat, hex(MSGPACK)],
    ["protobuf", protobufFormat, hex(PROTOBUF)],
    ["Avro", avroFormat, hex(AVRO)],
  ])("%s", (_name, format, bytes) => {
    expect(format.decode(bytes)).toMatchObject(ECHO);
  });
});

describe("MessagePack", () => {
  test("what is whole is one value of ours, and nothing else is", () => {
    for (const bad of [
      "",
      `${MSGPACK}c0`,
      MSGPACK.slice(0, -2),
      "81a1",
      "8101c0",
      "81c0c0",
      "d40100",
      "c70100",
      "c1",
      "dd7fffffff",
      "df7fffffff",
      "cf0020000000000000",
      "d3ffdfffffffffffff",
    ])
      expect([bad, code(() => msgpackFormat.decode(hex(bad)))]).toEqual([bad, 1003]);
    expect(msgpackFormat.decode(hex("cf001fffffffffffff"))).toBe(Number.MAX_SAFE_INTEGER);
  });

  test("64 levels are read, 65 are not, and half a million cost nothing", () => {
    const nested = (levels: number) => new Uint8Array([...new Uint8Array(levels).fill(0x91), 0xc0]);
    expect(Array.isArray(msgpackFormat.decode(nested(64)))).toBe(true);
    expect(code(() => msgpackFormat.decode(nested(65)))).toBe(1003);
    expect(code(() => msgpackFormat.decode(new Uint8Array(500_000).fill(0x91)))).toBe(1003);
  });

  test("a prototype is no key", () => {
    expect(code(() => msgpackFormat.decode(msgpack({ data: JSON.parse('{"__proto__":{"a":1}}') })))).toBe(
      1003,
    );
  });

  test("binary data is bytes, and base64 text where a format has none", () => {
    const message = msgpackFormat.decode(msgpack({ data: { list: [new Uint8Array([1, 2, 255])] } }));
    expect(JSON.parse(JSON.stringify(message))).toEqual({ data: { list: ["AQL/"] } });
    const echoed = msgpackFormat.encode(answer({ result: message }));
    expect(msgpackFormat.decode(echoed as Uint8Array)).toMatchObject({ result: message as object });
  });

  test("whole numbers are integers, and what has no value is left out", () => {
    const bytes = msgpackFormat.encode(answer({ result: { n: 5, f: 1.5, none: undefined } }));
    expect(Buffer.from(bytes).toString("hex")).toContain("a6726573756c7482a16e05a166cb3ff8000000000000");
  });
});

describe("protobuf", () => {
  test("an answer is the contract's", () => {
    const { metadata, ...rest } = answer();
    const bytes = messageType("Response").encode({
      aduib_rpc: rest.aduib_rpc,
      id: rest.id,
      status: 1,
      result: valueBytes({ text: "hi" }),
      negotiated_version: "2.0",
    } as never);
    expect(Buffer.from(bytes.finish()).toString("hex")).toBe(PROTOBUF_ANSWER);
    const whole = messageType("Response").decode(protobufFormat.encode(answer()) as Uint8Array) as never as {
      result: Uint8Array;
      metadata: object;
    };
    expect(readValue(Reader.create(whole.result), whole.result.byteLength)).toEqual({ text: "hi" });
    expect(whole.metadata).toMatchObject({ timestamp_ms: metadata.timestamp_ms, duration_ms: 2 });
  });

  test("what is zero or unspecified is absent, a bool that is left out is false, priorities are shifted", () => {
    const bytes = messageType("Request")
      .encode({
        method: "m",
        trace_context: { trace_id: "t", span_id: "s" },
        metadata: {
          timestamp_ms: 0,
          content_type: 0,
          accept: [3, 1, 9],
          auth: { scheme: 3 },
          headers: { a: "b" },
        },
        qos: { priority: 4, timeout_ms: 0, retry: { max_attempts: 0 } },
      } as never)
      .finish();
    expect(protobufFormat.decode(bytes)).toMatchObject({
      aduib_rpc: undefined,
      id: undefined,
      method: "m",
      data: undefined,
      trace_context: { sampled: false },
      metadata: {
        timestamp_ms: undefined,
        content_type: undefined,
        accept: ["application/protobuf", "application/json", "9"],
        auth: { scheme: "mtls" },
        headers: { a: "b" },
      },
      qos: {
        priority: 3,
        timeout_ms: undefined,
        retry: { max_attempts: undefined, retryable_codes: undefined },
      },
    });
  });

  test("a Struct says what JSON says, and no more levels than are allowed", () => {
    const value = { a: [1, "x", null, true, { b: [] }], "": {}, d: new Date(0), n: Number.NaN, u: undefined };
    const bytes = structBytes(value);
    expect(readStruct(Reader.create(bytes), bytes.byteLength)).toEqual(JSON.parse(JSON.stringify(value)));
    let deep: unknown = null;
    for (let level = 0; level < 100; level++) deep = [deep];
    const deepBytes = valueBytes(deep);
    expect(code(() => readValue(Reader.create(deepBytes), deepBytes.byteLength))).toBe(1003);
    const poisoned = structBytes(JSON.parse('{"__proto__":{"a":1}}'));
    expect(Object.getPrototypeOf(readStruct(Reader.create(poisoned), poisoned.byteLength))).toBe(
      Object.prototype,
    );
  });

  test("what is cut short or no message is refused", () => {
    const whole = hex(PROTOBUF);
    for (let length = 1; length < whole.byteLength; length += 7)
      expect([undefined, 1003]).toContain(
        code(() => {
          protobufFormat.decode(whole.subarray(0, length));
        }) as number | undefined,
      );
    expect(code(() => protobufFormat.decode(hex("2a7f0a")))).toBe(1003);
    expect(code(() => protobufFormat.decode(hex("12020aff")))).toBe(1003);
  });

  test("details carry texts, and JSON where they are none", () => {
    const error = {
      code: 1001,
      name: "N",
      message: "m",
      details: [{ type: "t", reason: "r", metadata: { list: ["3.0"], text: "x", none: undefined } }],
    };
    const bytes = protobufFormat.encode(answer({ status: "error", error }));
    expect(messageType("Response").decode(bytes as Uint8Array)).toMatchObject({
      status: 2,
      error: { code: 1001, details: [{ type: "t", metadata: { list: '["3.0"]', text: "x" } }] },
    } as never);
  });
});

describe("Avro", () => {
  test("the fingerprints are those of the canonical forms", () => {
    for (const [schema, fingerprint, length] of [
      [requestSchema, REQUEST_FINGERPRINT, 2_065],
      [responseSchema, RESPONSE_FINGERPRINT, 2_109],
    ] as const) {
      const canonical = JSON.stringify(avsc.Type.forSchema(schema as avsc.Schema).schema());
      expect(canonical).toHaveLength(length);
      expect(crc64(Buffer.from(canonical))).toBe(fingerprint);
    }
  });

  test("an answer begins with its fingerprint and is read again", () => {
    const bytes = Buffer.from(avroFormat.encode(answer()) as Uint8Array);
    expect(bytes.subarray(0, 10).toString("hex")).toBe("c3019875fe4134bf2813");
    const read = avsc.Type.forSchema(responseSchema as avsc.Schema).fromBuffer(bytes.subarray(10));
    expect(read).toMatchObject({
      id: ID,
      status: "success",
      result: '{"text":"hi"}',
      negotiated_version: "2.0",
    });
  });

  test("another marker, another schema, a part of it, more than it, lists that claim what they have not: refused at once", () => {
    const startedAt = performance.now();
    const flipped = hex(AVRO);
    flipped[0] = 0xc4;
    const begin = `${AVRO.slice(0, 20)}06322e3002610262000002`;
    const claims = ["feffffffffffffffff01", "feffffff0f", "feffff0f", "ffffffffffffffffffff01"].map((count) =>
      hex(`${begin}${count}`),
    );
    for (const bytes of [
      flipped,
      hex(AVRO).subarray(0, 40),
      hex(`${AVRO}00`),
      ...claims,
      hex("c301"),
      hex(""),
    ])
      expect(code(() => avroFormat.decode(bytes))).toBe(1003);
    expect(performance.now() - startedAt).toBeLessThan(2_000);
  });
});

/** CRC-64-AVRO, as the specification of Avro writes it down. */
function crc64(bytes: Uint8Array): string {
  const empty = 0xc15d213aa4d7a795n;
  let sum = empty;
  for (const byte of bytes) {
    let entry = (sum ^ BigInt(byte)) & 0xffn;
    for (let bit = 0; bit < 8; bit++) entry = (entry >> 1n) ^ (empty & -(entry & 1n) & 0xffffffffffffffffn);
    sum = (sum >> 8n) ^ entry;
  }
  return sum.toString(16).padStart(16, "0");
}

describe("what is made of few bytes", () => {
  const lists = (count: number) => `{"data":{"a":[${"[],".repeat(count)}0]}}`;
  const weigh = (decode: (claim: (bytes: number) => void) => unknown) => {
    let held = 0;
    return [
      code(() => {
        decode((bytes) => {
          held += bytes;
        });
        return "read";
      }),
      held > 0,
    ];
  };

  test("is counted before it is made, and has a bound, in every format", () => {
    const many = (count: number) => Array.from({ length: count }, () => []);
    const bytes = (text: string) => new Uint8Array(Buffer.from(text));
    const struct = (count: number) => {
      const data = structBytes({ a: many(count) });
      return messageType("Request")
        .encode({ data } as never)
        .finish();
    };
    for (const [count, expected] of [
      [1_000, "read"],
      [190_000, "read"],
      [260_000, 2004],
    ] as const) {
      const told = [expected, expected === "read"];
      expect(weigh((claim) => jsonFormat.decode(bytes(lists(count)), claim))).toEqual(told);
      expect(weigh((claim) => msgpackFormat.decode(msgpack({ data: many(count) }), claim))).toEqual(told);
      expect(weigh((claim) => protobufFormat.decode(struct(count), claim))).toEqual(told);
    }
    // Text is no structure.
    const text = JSON.stringify({ data: { a: "[],{},".repeat(500_000) } });
    expect(code(() => jsonFormat.decode(bytes(text)) && "read")).toBe("read");
    // Beside the data an envelope is small.
    const versions = new Uint8Array(3_000_000);
    for (let at = 0; at < versions.length; at += 2) versions[at] = 0x4a;
    expect(code(() => protobufFormat.decode(versions))).toBe(2004);
  });

  test("texts are UTF-8: two that differ are never read as one", () => {
    expect(code(() => msgpackFormat.decode(hex("81a161a1ff")))).toBe(1003);
    expect(code(() => msgpackFormat.decode(hex("81a1ffa161")))).toBe(1003);
    expect(code(() => msgpackFormat.decode(hex(`81a161d928${"ff".repeat(40)}`)))).toBe(1003);
    // An id, and a text within the data.
    expect(code(() => protobufFormat.decode(hex("1201ff")))).toBe(1003);
    expect(code(() => protobufFormat.decode(hex("2a0a0a080a016112031a01ff")))).toBe(1003);
    const broken = AVRO.replace("06322e30", "0632ff30");
    expect(code(() => avroFormat.decode(hex(broken)))).toBe(1003);
  });
});
