// The four formats and three compressions of bodies through the real listener (contract 11; V29 to V33): the contract's bytes in, the
// contract's bytes out, and what cannot be agreed on.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { gzipSync } from "node:zlib";
import { decode } from "@msgpack/msgpack";
import avsc from "avsc";
import { Reader } from "protobufjs/minimal";
import { messageType } from "../src/rpc/formats/aduib-proto.ts";
import { responseSchema } from "../src/rpc/formats/avro-schema.ts";
import { expand } from "../src/rpc/formats/compression.ts";
import { readValue } from "../src/rpc/formats/struct.ts";
import { type Json, type Served, served, stopServers } from "./support/rpc-server.ts";

setDefaultTimeout(30_000);
const ID = "550e8400-e29b-41d4-a716-446655440000";
const ECHO = `{"aduib_rpc":"2.0","id":"${ID}","method":"rpc.v2/EchoService/Echo","data":{"text":"hi"}}`;
const MSGPACK =
  "84a961647569625f727063a3322e30a26964d92435353065383430302d653239622d343164342d613731362d343436363535343430303030a66d6574686f64b77270632e76322f4563686f536572766963652f4563686fa46461746181a474657874a26869";
const PROTOBUF =
  "0a03322e30122435353065383430302d653239622d343164342d613731362d3434363635353434303030301a177270632e76322f4563686f536572766963652f4563686f2a0e0a0c0a047465787412041a026869";
const AVRO =
  "c3012158b3d02f47acbc06322e304835353065383430302d653239622d343164342d613731362d3434363635353434303030302e7270632e76322f4563686f536572766963652f4563686f00021a7b2274657874223a226869227d00000000";
const LZ4 =
  "04224d186840770000000000000065770000807b2261647569625f727063223a22322e30222c226964223a2235353065383430302d653239622d343164342d613731362d343436363535343430303030222c226d6574686f64223a227270632e76322f4563686f536572766963652f4563686f222c2264617461223a7b2274657874223a226869227d7d00000000";
const ZSTD =
  "28b52ffd20774d0300e286171b7069dbacf79d8e4d0b24db29e90af72840a5026d82af86d2ff33044df3c6be7f897e67f6ea297ef15e6d715d48d82200ce622cc57dcf097b7dc84c55845252c57404142a1f8ac8e03466aaa013a1efb9bd781ae7fba53803d210acce040200bfc8e017a83d";
const hex = (text: string) => Uint8Array.fromHex(text);

let one: Served;
beforeAll(async () => {
  one = await served();
});
afterAll(stopServers);

async function send(body: Uint8Array<ArrayBuffer> | string, headers: Record<string, string>) {
  const answer = await fetch(`${one.base}/v2/rpc`, {
    method: "POST",
    headers: { "accept-encoding": "identity", ...headers },
    body,
    decompress: false,
  });
  return {
    status: answer.status,
    headers: answer.headers,
    bytes: new Uint8Array(await answer.arrayBuffer()),
  };
}
const jsonOf = (bytes: Uint8Array): Json => JSON.parse(Buffer.from(bytes).toString());

describe("the contract's bytes", () => {
  test("MessagePack (V29)", async () => {
    const { status, headers, bytes } = await send(hex(MSGPACK), { "content-type": "application/msgpack" });
    expect([status, headers.get("content-type")]).toEqual([200, "application/msgpack"]);
    expect(decode(bytes)).toMatchObject({
      id: ID,
      status: "success",
      result: { text: "hi" },
      metadata: { headers: { "content-type": "application/msgpack" } },
    });
  });

  test("protobuf (V30)", async () => {
    const { status, headers, bytes } = await send(hex(PROTOBUF), { "content-type": "application/protobuf" });
    expect([status, headers.get("content-type")]).toEqual([200, "application/protobuf"]);
    const message = messageType("Response").decode(bytes) as unknown as Json;
    expect(message).toMatchObject({ aduib_rpc: "2.0", id: ID, status: 1, negotiated_version: "2.0" });
    expect(readValue(Reader.create(message.result), message.result.byteLength)).toEqual({ text: "hi" });
  });

  test("Avro, and another marker (V31)", async () => {
    const type = { "content-type": "application/avro" };
    const { status, headers, bytes } = await send(hex(AVRO), type);
    expect([status, headers.get("content-type")]).toEqual([200, "application/avro"]);
    expect(Buffer.from(bytes.subarray(0, 10)).toString("hex")).toBe("c3019875fe4134bf2813");
    const datum = avsc.Type.forSchema(responseSchema as avsc.Schema).fromBuffer(
      Buffer.from(bytes.subarray(10)),
    );
    expect(datum).toMatchObject({ id: ID, status: "success", result: '{"text":"hi"}' });
    const other = await send(hex(`c4${AVRO.slice(2)}`), { ...type, accept: "application/json" });
    expect([other.status, jsonOf(other.bytes).error.code]).toEqual([400, 1003]);
  });

  test.each([
    ["gzip", () => new Uint8Array(gzipSync(ECHO))],
    ["lz4", () => hex(LZ4)],
    ["zstd", () => hex(ZSTD)],
  ] as const)("in %s, both ways (V32)", async (compression, body) => {
    const { status, headers, bytes } = await send(body(), {
      "content-type": "application/json",
      "content-encoding": compression,
      "accept-encoding": compression,
    });
    expect([status, headers.get("content-encoding")]).toEqual([200, compression]);
    expect(jsonOf(await expand(bytes, compression, 1_000_000))).toMatchObject({
      id: ID,
      result: { text: "hi" },
      metadata: { headers: { "content-type": "application/json", "content-encoding": compression } },
    });
  });
});

describe("what cannot be agreed on (V33)", () => {
  const metadata = (more: object) =>
    JSON.stringify({ ...JSON.parse(ECHO), metadata: { timestamp_ms: 1, ...more } });
  const json = { "content-type": "application/json" };

  test.each<[string, string | Uint8Array<ArrayBuffer>, Record<string, string>, number, string | undefined]>([
    ["a format of the answer", metadata({ accept: ["text/xml"] }), {}, 1003, "aduib.rpc/NotAcceptable"],
    ["a format that HTTP asks for", ECHO, { accept: "text/html" }, 1003, "aduib.rpc/NotAcceptable"],
    [
      "a compression of the body",
      ECHO,
      { "content-encoding": "br" },
      1004,
      "aduib.rpc/UnsupportedCompression",
    ],
    ["several of them", ECHO, { "content-encoding": "gzip, zstd" }, 1004, "aduib.rpc/UnsupportedCompression"],
    ["a body that is not what it says", "not gzip", { "content-encoding": "gzip" }, 1004, undefined],
    ["a compression of the answer", metadata({ compression: "zip" }), {}, 2003, "aduib.rpc/InvalidField"],
    [
      "no compression at all",
      ECHO,
      { "accept-encoding": "identity;q=0" },
      1004,
      "aduib.rpc/UnsupportedCompression",
    ],
    ["a format of the body", ECHO, { "content-type": "text/xml" }, 1003, "aduib.rpc/UnsupportedContentType"],
    [
      "its characters",
      ECHO,
      { "content-type": "application/json; charset=latin1" },
      1003,
      "aduib.rpc/UnsupportedContentType",
    ],
  ])("%s", async (_what, body, headers, code, type) => {
    const { status, headers: told, bytes } = await send(body, { ...json, ...headers });
    expect([status, told.get("content-type")]).toEqual([400, "application/json; charset=utf-8"]);
    const { error } = jsonOf(bytes);
    expect([error.code, error.details?.[0].type]).toEqual([code, type]);
  });
});
