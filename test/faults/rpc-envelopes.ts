// Generates requests of the RPC protocol that are right, nearly right and wrong in every way we could think of, in its four formats and
// three compressions. A seed makes the same again.
import { encode as msgpack } from "@msgpack/msgpack";
import avsc from "avsc";
import { messageType } from "../../src/rpc/formats/aduib-proto.ts";
import { REQUEST_FINGERPRINT, requestSchema } from "../../src/rpc/formats/avro-schema.ts";
import { compress } from "../../src/rpc/formats/compression.ts";
import { structBytes } from "../../src/rpc/formats/struct.ts";
import type { Random } from "./random.ts";

export interface OddRequest {
  readonly path: string;
  readonly headers: Record<string, string>;
  readonly body: Uint8Array<ArrayBuffer>;
  /** Neither its bytes nor its envelope were touched: it succeeds. */
  readonly isRight: boolean;
}

type Fields = Record<string, unknown>;
type Bytes = Uint8Array<ArrayBuffer>;

const FORMATS = [
  "application/json",
  "application/msgpack",
  "application/protobuf",
  "application/avro",
] as const;
type Format = (typeof FORMATS)[number];
const COMPRESSIONS = ["gzip", "zstd", "lz4"] as const;

/** None of them fails by itself, or takes long. */
const METHODS = [
  "EchoService/Echo",
  "EchoService/Say",
  "MathService/Divide",
  "DemoService/Nothing",
  "DemoService/Partial",
  "DemoService/WhoAmI",
  "LegacyService/Old",
  "CounterService/Increment",
  "HealthService/Check",
  "SystemService/Info",
];
const WRONG_METHODS = [
  "rpc.v2/NopeService/Run",
  "rpc.v2/EchoService/Nope",
  "rpc.v2/StreamService/Count",
  "EchoService.Echo",
  "rpc.v2/EchoService/Echo/more",
  "/rpc.v2/EchoService/Echo ",
  "rpc.v1/EchoService/Echo",
  "rpc.v2/__proto__/constructor",
  "rpc.v2/TaskService/Query",
  "rpc.v2/TaskService/Submit",
  "rpc.v2/DocsService/Write",
  "rpc.v2/SystemService/Config",
  "rpc.v2/DiscoveryService/Register",
];
const FIELDS = [
  ..."aduib_rpc id method name data supported_versions trace_context metadata qos meta".split(" "),
  ..."metadata.timestamp_ms metadata.client_id metadata.auth metadata.tenant_id metadata.accept".split(" "),
  ..."metadata.compression metadata.content_type metadata.headers metadata.long_task".split(" "),
  ..."metadata.auth.scheme metadata.auth.credentials metadata.auth.roles metadata.auth.principal".split(" "),
  ..."qos.priority qos.timeout_ms qos.retry qos.idempotency_key qos.retry.max_attempts".split(" "),
  ..."qos.retry.backoff_multiplier qos.retry.retryable_codes trace_context.trace_id".split(" "),
  ..."trace_context.span_id trace_context.baggage trace_context.sampled data.a data.b data.key".split(" "),
];

export async function oddRequest(random: Random, index: number): Promise<OddRequest> {
  const format = random.pick(FORMATS);
  let isRight = random.chance(0.25);
  let envelope = rightEnvelope(random, index);
  if (!isRight) for (let count = random.whole(0, 3); count > 0; count--) envelope = spoiled(envelope, random);
  let body: Bytes;
  try {
    body = encoded(envelope, format, random, isRight);
  } catch {
    // What a format cannot say is said in it all the same, by bytes that are none of it.
    body = random.bytes(random.whole(0, 200));
    isRight = false;
  }
  if (!isRight && random.chance(0.5)) body = damaged(body, random);
  const headers: Record<string, string> = { "content-type": format, "accept-encoding": "identity" };
  if (random.chance(0.4)) {
    const compression = random.pick(COMPRESSIONS);
    body = await compress(body, compression);
    headers["content-encoding"] = compression;
    if (!isRight && random.chance(0.3)) body = damaged(body, random);
  }
  if (random.chance(0.3))
    headers["accept-encoding"] = random.pick([...COMPRESSIONS, "gzip;q=0.5, zstd", "*"]);
  if (random.chance(0.3)) headers.accept = random.pick([...FORMATS, "*/*", "application/*"]);
  if (isRight) return { path: "/v2/rpc", headers, body, isRight };
  if (random.chance(0.3)) Object.assign(headers, oddHeader(random));
  return { path: oddPath(random, format), headers, body, isRight };
}

function rightEnvelope(random: Random, index: number): Fields {
  const method = random.pick(METHODS);
  const envelope: Fields = {
    aduib_rpc: "2.0",
    id: `fuzz-${index}`,
    method: `rpc.v2/${method}`,
    data: method === "MathService/Divide" ? { a: 6, b: 3 } : { key: "k", text: wellFormed(random) },
  };
  if (method === "HealthService/Check") delete (envelope.data as Fields).text;
  if (random.chance(0.5))
    envelope.metadata = {
      timestamp_ms: 1_700_000_000_000,
      client_id: "fuzz",
      tenant_id: `t${random.whole(1, 5)}`,
      headers: { "X-Odd": "1" },
    };
  if (random.chance(0.3)) envelope.qos = { priority: random.whole(0, 3), timeout_ms: 20_000 };
  if (random.chance(0.2)) envelope.supported_versions = ["2.0", "3.0"];
  if (random.chance(0.3))
    envelope.trace_context = {
      trace_id: "ab".repeat(16),
      span_id: "cd".repeat(8),
      sampled: true,
      baggage: { a: "b" },
    };
  return envelope;
}

const wellFormed = (random: Random): string => random.text(random.whole(0, 40)).toWellFormed();

function spoiled(envelope: Fields, random: Random): Fields {
  const copy = structuredClone(envelope);
  const path = random.pick(FIELDS).split(".");
  const last = path.pop() ?? "";
  let holder = copy;
  for (const key of path) {
    if (typeof holder[key] !== "object" || holder[key] === null || Array.isArray(holder[key]))
      holder[key] = {};
    holder = holder[key] as Fields;
  }
  if (random.chance(0.15)) delete holder[last];
  else if (last === "method" && random.chance(0.7)) holder[last] = random.pick(WRONG_METHODS);
  else holder[last] = oddValue(random, 3);
  if (random.chance(0.1)) holder[random.text(random.whole(1, 30))] = oddValue(random, 2);
  return copy;
}

function oddValue(random: Random, depth: number): unknown {
  const kind = random.whole(0, 13);
  if (kind <= 3)
    return random.pick([
      null,
      true,
      false,
      0,
      -1,
      1.5,
      -0,
      1e308,
      2 ** 53,
      -(2 ** 63),
      2 ** 31,
      5e-324,
      4_294_967_296,
    ]);
  if (kind === 4)
    return random.pick([
      "",
      "\u0000",
      "\ud800",
      "\udc00a",
      "\u202e\u200b",
      "𝒳é\u0301",
      "\ufeff",
      "2.0",
      "9".repeat(400),
    ]);
  if (kind === 5) return random.text(random.whole(1, 300));
  if (kind === 6) return "x".repeat(random.whole(100, 6_000));
  if (kind === 7) return deep(random.whole(2, 300), random.chance(0.5));
  if (kind === 8)
    return random.pick(["bearer", "mtls", "basic", "gzip", "none", "application/avro", "zip", "low"]);
  if (kind === 9)
    return Array.from({ length: random.whole(0, 70) }, () =>
      random.pick(["2.0", 5, null, "application/json", ""]),
    );
  if (kind === 10)
    return JSON.parse('{"__proto__":{"a":1},"constructor":{"prototype":1},"toString":1,"then":2}');
  if (kind === 11)
    return Object.fromEntries(Array.from({ length: random.whole(60, 80) }, (_, at) => [`k${at}`, "v"]));
  if (depth === 0) return {};
  return Object.fromEntries(
    Array.from({ length: random.whole(0, 5) }, () => [
      random.text(random.whole(0, 12)),
      oddValue(random, depth - 1),
    ]),
  );
}

function deep(levels: number, isList: boolean): unknown {
  let value: unknown = 1;
  for (let level = 0; level < levels; level++) value = isList ? [value] : { a: value };
  return value;
}

function encoded(envelope: Fields, format: Format, random: Random, isRight: boolean): Bytes {
  if (format === "application/json") return new Uint8Array(Buffer.from(jsonText(envelope, random, isRight)));
  if (format === "application/msgpack") return msgpack(envelope, { maxDepth: 400 }) as Bytes;
  return format === "application/protobuf" ? protobuf(envelope) : avro(envelope);
}

/** With what no object can say. */
function jsonText(envelope: Fields, random: Random, isRight: boolean): string {
  const text = JSON.stringify(envelope);
  if (isRight || random.chance(0.7)) return text;
  const more = random.pick([
    '"id":"other",',
    '"id":"other","id":7,',
    '"data":1e999,',
    '"data":NaN,',
    '"data":{"a":123456789012345678901234567890},',
    '"method":"rpc.v2/EchoService/Echo","method":null,',
    '"__proto__":{"id":"x"},',
    "'a':1,",
  ]);
  const bom = random.chance(0.1) ? "\ufeff" : "";
  return `${bom}{${more}${text.slice(1)}`;
}

const SCHEMES = ["", "bearer", "api_key", "mtls"];

function protobuf(envelope: Fields): Bytes {
  const type = messageType("Request");
  const { data, qos, metadata, ...rest } = envelope;
  const message = {
    ...rest,
    ...(data !== null && data !== undefined && { data: structBytes(data as Fields) }),
    ...(qos !== undefined && { qos: { ...(qos as Fields), priority: Number((qos as Fields).priority) + 1 } }),
    ...(metadata !== undefined && { metadata: metadataMessage(metadata as Fields) }),
  };
  return type.encode(message as never).finish() as Bytes;
}

function metadataMessage({ auth, ...metadata }: Fields): Fields {
  if (typeof auth !== "object" || auth === null) return metadata;
  return { ...metadata, auth: { ...auth, scheme: SCHEMES.indexOf(String((auth as Fields).scheme)) } };
}

const avroType = avsc.Type.forSchema(requestSchema as avsc.Schema);
const AVRO_HEAD = Buffer.concat([
  Buffer.from([0xc3, 0x01]),
  Buffer.from(REQUEST_FINGERPRINT, "hex").reverse(),
]);

function avro(envelope: Fields): Bytes {
  const none = (value: unknown) => (value === undefined ? null : value);
  const { data, qos, metadata, trace_context, ...rest } = envelope;
  const datum = {
    aduib_rpc: "2.0",
    name: null,
    supported_versions: null,
    ...rest,
    data: data === undefined || data === null ? null : JSON.stringify(data),
    trace_context: trace_context ? { parent_span_id: null, baggage: null, ...trace_context } : null,
    metadata: metadata
      ? {
          client_id: null,
          client_version: null,
          auth: null,
          tenant_id: null,
          content_type: null,
          accept: null,
          compression: null,
          headers: null,
          ...metadata,
        }
      : null,
    qos: none(qos && { timeout_ms: null, retry: null, idempotency_key: null, priority: 1, ...qos }),
  };
  return new Uint8Array(Buffer.concat([AVRO_HEAD, avroType.toBuffer(datum)]));
}

function damaged(body: Bytes, random: Random): Bytes {
  const kind = random.whole(0, 5);
  if (kind === 0) return body.slice(0, random.whole(0, body.length));
  if (kind === 1) return new Uint8Array([...body, ...random.bytes(random.whole(1, 20))]);
  if (kind === 2) return random.bytes(random.whole(0, 300));
  const copy = body.slice();
  for (let count = random.whole(1, 4); count > 0 && copy.length > 0; count--)
    copy[random.whole(0, copy.length - 1)] = random.whole(0, 255);
  return copy;
}

const oddHeader = (random: Random): Record<string, string> =>
  random.pick<Record<string, string>>([
    {
      "content-type": random.pick([
        "text/xml",
        "",
        "application/json; charset=latin1",
        "application/grpc",
        "application/msgpack",
      ]),
    },
    { "content-encoding": random.pick(["br", "gzip, gzip", "deflate", "identity", "lz4"]) },
    {
      accept: random.pick([
        "text/html",
        "application/json;q=0",
        "text/event-stream",
        ",,;q=x",
        "x/y, */*;q=0.1",
      ]),
    },
    { "accept-encoding": random.pick(["identity;q=0", "br", "zstd;q=0, *;q=0", "x".repeat(2_000)]) },
    { "x-tenant-id": random.pick(["other", "a b", "x".repeat(300), "a|b", "../.."]) },
    { authorization: random.pick(["Bearer x.y.z", "Bearer", "Basic dTpw", `Bearer ${"x".repeat(3_000)}`]) },
    { traceparent: random.pick(["ff-1-2-3", `00-${"a".repeat(32)}-${"b".repeat(16)}-01`, "x"]) },
    { baggage: random.pick(["a=%zz,__proto__=1", "=,=;", "x".repeat(3_000)]) },
    { "x-aduib-stream-shape": random.pick(["response", "x", ""]) },
    { "x-aduib-resume": random.pick(["0", "-1", "1e3", "999999999999999999", "x"]) },
    { "x-aduib-stream-id": random.pick(["x", "550e8400-e29b-41d4-a716-446655440000", ""]) },
    { "last-event-id": random.pick(["-1", "99999999999999999999", "x"]) },
  ]);

/** JSON goes everywhere. */
function oddPath(random: Random, format: Format): string {
  const everywhere = [
    "/v2/rpc",
    "/v2/rpc",
    "/v2/rpc",
    "/v2/AduibRpcService/Call",
    "/v2/rpc/stream",
    "/v2/rpc/stream/control",
    "/v2/AduibRpcService/CallServerStream",
    "/v2/AduibRpcService/CallBidirectional",
    "/v2/nope",
  ];
  const bare = [
    "",
    "/",
    "/v2/HealthService/Check",
    "/v2/TaskService/Query",
    "/v2/TaskService/Submit",
    "/v2/TaskService/Subscribe",
    "/v2/DiscoveryService/List",
    "/v2/DiscoveryService/Register",
  ];
  return random.pick(format === "application/json" ? [...everywhere, ...bare] : everywhere);
}

/** Few bytes that become many, or many small things. `whole`: within what is allowed to expand. */
export async function bombs(): Promise<readonly { readonly name: string; readonly request: OddRequest }[]> {
  const MIB = 1024 * 1024;
  const json = (filler: Uint8Array) =>
    Buffer.concat([
      Buffer.from('{"id":"b","method":"rpc.v2/EchoService/Echo","data":{"a":['),
      filler,
      Buffer.from("0]}}"),
    ]);
  const repeated = (text: string, bytes: number) =>
    Buffer.alloc(Math.floor(bytes / text.length) * text.length, text);
  const list = (count: number): Buffer => {
    const head = Buffer.from([0xdd, 0, 0, 0, 0]);
    head.writeUInt32BE(count, 1);
    return head;
  };
  const packed = Buffer.concat([
    Buffer.from(msgpack({ id: "b", method: "rpc.v2/EchoService/Echo" })).fill(0x83, 0, 1),
    Buffer.from(msgpack("data")),
    Buffer.from([0x81, 0xa1, 0x61]),
    list(15 * MIB),
    Buffer.alloc(15 * MIB, 0x90),
  ]);
  const plain: [string, Format, Uint8Array][] = [
    ["zeros above the limit", "application/json", Buffer.alloc(64 * MIB)],
    ["empty lists", "application/json", json(repeated("[],", 15 * MIB))],
    ["empty objects", "application/json", json(repeated("{},", 15 * MIB))],
    ["one long text", "application/json", json(Buffer.from(`"${"x".repeat(15 * MIB)}",`))],
    ["empty lists", "application/msgpack", packed],
    ["empty lists", "application/protobuf", protobufBomb(15 * MIB)],
  ];
  const all: { name: string; request: OddRequest }[] = [];
  for (const [what, format, bytes] of plain)
    for (const compression of COMPRESSIONS) {
      const body = await compress(new Uint8Array(bytes), compression);
      const headers = { "content-type": format, "content-encoding": compression, "accept-encoding": "gzip" };
      all.push({
        name: `${what}, ${format}, ${compression}`,
        request: { path: "/v2/rpc", headers, body, isRight: false },
      });
    }
  return all;
}

/** A Struct with a list of empty lists. */
function protobufBomb(bytes: number): Bytes {
  const items = Buffer.alloc(Math.floor(bytes / 4) * 4, Buffer.from([0x0a, 0x02, 0x32, 0x00]));
  const sized = (tag: number, inner: Uint8Array): Buffer => {
    const length: number[] = [];
    for (let rest = inner.byteLength; ; rest = Math.floor(rest / 128)) {
      length.push(rest < 128 ? rest : (rest % 128) | 0x80);
      if (rest < 128) break;
    }
    return Buffer.concat([Buffer.from([tag, ...length]), inner]);
  };
  const entry = Buffer.concat([Buffer.from([0x0a, 0x01, 0x61]), sized(0x12, sized(0x32, items))]);
  const head = messageType("Request")
    .encode({ id: "b", method: "rpc.v2/EchoService/Echo" } as never)
    .finish();
  return new Uint8Array(Buffer.concat([head, sized(0x2a, sized(0x0a, entry))]));
}
