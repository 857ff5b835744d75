// Pieces that were deflated once stand in any stream at any place, and every gzip reader accepts the whole.
import { describe, expect, test } from "bun:test";
import { constants, createGunzip, gunzipSync } from "node:zlib";
import { until } from "../../test/support/until.ts";
import { type DeflatedPiece, deflatedPiece, GZIP_HEAD, GzipSum } from "./shared-gzip.ts";

const text = (length: number, seed = 7) => {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; at++) bytes[at] = 97 + ((at * seed + (at >> 7)) % 23);
  return bytes;
};

function stream(pieces: readonly DeflatedPiece[]): Uint8Array {
  const sum = new GzipSum();
  for (const piece of pieces) sum.add(piece);
  return Buffer.concat([GZIP_HEAD, ...pieces.map(({ bytes }) => bytes), sum.end()]);
}

describe("a stream of pieces", () => {
  const plain = [0, 1, 199, 200, 5_000, 65_535, 65_536, 200_000, 1024 * 1024 + 1].map((length) =>
    text(length),
  );
  const pieces = plain.map(deflatedPiece);

  test("is what they were, in every order, with the same piece several times; its checksum is right", () => {
    for (let round = 0; round < 50; round++) {
      const order = Array.from({ length: 8 }, (_, at) => (round * 5 + at * (round + 3)) % plain.length);
      const whole = gunzipSync(stream(order.map((at) => pieces[at] as DeflatedPiece)));
      const expected = Buffer.concat(order.map((at) => plain[at] as Uint8Array));
      expect(whole.equals(expected)).toBe(true);
    }
  });

  test("is an empty text without any", () => {
    expect(gunzipSync(stream([])).length).toBe(0);
  });

  test("is smaller where that is worth its time, and hardly larger elsewhere", () => {
    const sizes = pieces.map(({ bytes, plainBytes }) => bytes.byteLength - plainBytes);
    expect(sizes.slice(0, 3)).toEqual([0, 5, 5]);
    expect(Math.max(...sizes.slice(3, 8))).toBeLessThan(0);
    expect(sizes[8]).toBe(17 * 5);
  });

  test("shows each piece as soon as it is there", async () => {
    const gunzip = createGunzip({ flush: constants.Z_SYNC_FLUSH });
    let read = 0;
    gunzip.on("data", (bytes: Buffer) => {
      read += bytes.byteLength;
    });
    gunzip.write(GZIP_HEAD);
    let expected = 0;
    for (const piece of pieces) {
      gunzip.write(piece.bytes);
      expected += piece.plainBytes;
      await until("the piece", () => read === expected);
    }
  });

  test("has the right length past four gibibytes", () => {
    const sum = new GzipSum();
    const large = { bytes: new Uint8Array(), plainBytes: 2 ** 31, crc: 0, shift: 0 };
    for (let round = 0; round < 3; round++) sum.add(large);
    expect(Buffer.from(sum.end()).readUInt32LE(6)).toBe(2 ** 31);
  });
});
