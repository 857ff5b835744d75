// Compressed bodies: the contract's vectors (V32), round trips, what is broken in every place, and bombs.
import { describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { gzipSync } from "node:zlib";
import { COMPRESSIONS, type Compression } from "../document/document.ts";
import { compress, expand } from "./compression.ts";

const LIMIT = 16 * 1024 * 1024;
const ECHO =
  '{"aduib_rpc":"2.0","id":"550e8400-e29b-41d4-a716-446655440000","method":"rpc.v2/EchoService/Echo","data":{"text":"hi"}}';
const LZ4 =
  "04224d186840770000000000000065770000807b2261647569625f727063223a22322e30222c226964223a2235353065383430302d653239622d343164342d613731362d343436363535343430303030222c226d6574686f64223a227270632e76322f4563686f536572766963652f4563686f222c2264617461223a7b2274657874223a226869227d7d00000000";
const ZSTD =
  "28b52ffd20774d0300e286171b7069dbacf79d8e4d0b24db29e90af72840a5026d82af86d2ff33044df3c6be7f897e67f6ea297ef15e6d715d48d82200ce622cc57dcf097b7dc84c55845252c57404142a1f8ac8e03466aaa013a1efb9bd781ae7fba53803d210acce040200bfc8e017a83d";

const outcome = async (bytes: Uint8Array, compression: Compression, limit = LIMIT): Promise<unknown> => {
  try {
    return Buffer.from(await expand(bytes, compression, limit)).toString();
  } catch (error) {
    return (error as { code?: unknown }).code;
  }
};

test.each<[Compression, Uint8Array]>([
  ["gzip", gzipSync(ECHO)],
  ["zstd", Uint8Array.fromHex(ZSTD)],
  ["lz4", Uint8Array.fromHex(LZ4)],
])("the contract's body in %s", async (compression, bytes) => {
  expect(await outcome(bytes, compression)).toBe(ECHO);
});

const bodies = {
  empty: "",
  short: "x",
  text: ECHO.repeat(3_000),
  random: randomBytes(300_000).toString("latin1"),
  mixed: randomBytes(70_000).toString("hex") + "a".repeat(200_000) + ECHO,
};

describe.each([...COMPRESSIONS])("%s", (compression) => {
  test.each(Object.entries(bodies))("comes back as it went: %s", async (_name, body) => {
    const bytes = new Uint8Array(Buffer.from(body));
    const packed = await compress(bytes, compression);
    expect(Buffer.from(await expand(packed, compression, LIMIT)).equals(Buffer.from(bytes))).toBe(true);
  });

  test("is refused wherever it is cut, and with anything behind it", async () => {
    const packed = await compress(new Uint8Array(Buffer.from(ECHO.repeat(20))), compression);
    for (let length = 0; length < packed.byteLength; length++)
      expect([length, await outcome(packed.subarray(0, length), compression)]).toEqual([length, 1004]);
    const more = new Uint8Array([...packed, 7]);
    expect(await outcome(more, compression)).toBe(1004);
  });

  test("stops at the limit", async () => {
    const packed = await compress(new Uint8Array(3 * 1024 * 1024), compression);
    expect(packed.byteLength).toBeLessThan(40_000);
    expect(await outcome(packed, compression, 1024 * 1024)).toBe(2004);
    expect(((await outcome(packed, compression, 3 * 1024 * 1024)) as string).length).toBe(3 * 1024 * 1024);
  });

  test("never gives a wrong body for a damaged one without saying so, where it has a checksum", async () => {
    const packed = await compress(new Uint8Array(Buffer.from(bodies.text)), compression);
    for (let round = 0; round < 300; round++) {
      const damaged = packed.slice();
      const at = Math.floor((round / 300) * packed.byteLength);
      damaged[at] = (damaged[at] ?? 0) ^ (1 << (round % 8));
      const result = await outcome(damaged, compression);
      // zstd as it is written by default has no checksum.
      if (compression !== "zstd") expect([1004, 2004, bodies.text]).toContain(result as string | number);
      else expect(["number", "string"]).toContain(typeof result);
    }
  });
});

const gate = ["lz4", "zstd"].map((tool) => Bun.which(tool) !== null);

test.if(gate[0] === true)("every kind of frame that the reference tool writes", async () => {
  const body = Buffer.from(bodies.text + bodies.random, "latin1");
  for (const flags of [
    ["-1"],
    ["-9", "-BX"],
    ["-B4", "-BD"],
    ["-B7", "--content-size"],
    ["--no-frame-crc"],
  ]) {
    const tool = Bun.spawnSync(["lz4", "-c", ...flags], { stdin: body });
    expect([flags, Buffer.from(await expand(tool.stdout, "lz4", LIMIT)).equals(body)]).toEqual([flags, true]);
  }
  const packed = await compress(new Uint8Array(body), "lz4");
  expect(Bun.spawnSync(["lz4", "-dc"], { stdin: packed }).stdout.equals(body)).toBe(true);
});

test("a bomb of LZ4 holds nobody up", async () => {
  const block = Buffer.concat([
    Buffer.from([0x1f, 0x61, 0x01, 0x00]),
    Buffer.alloc(4_000_000, 0xff),
    Buffer.from([0x00]),
  ]);
  const head = Buffer.from([0x04, 0x22, 0x4d, 0x18, 0x60, 0x70, 0x00]);
  head[6] = (Number(Bun.hash.xxHash32(head.subarray(4, 6))) >>> 8) & 0xff;
  const size = Buffer.alloc(4);
  size.writeUInt32LE(block.length);
  const startedAt = performance.now();
  expect(await outcome(Buffer.concat([head, size, block, Buffer.alloc(4)]), "lz4")).toBe(1004);
  expect(performance.now() - startedAt).toBeLessThan(1_000);
});

test("a zstd frame behind a first one is no part of a body", async () => {
  const one = await compress(new Uint8Array(Buffer.from("one")), "zstd");
  expect(await outcome(new Uint8Array([...one, ...one]), "zstd")).toBe(1004);
});
