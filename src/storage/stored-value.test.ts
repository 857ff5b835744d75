// What is written piece by piece is the JSON that would have been written at once.
import { expect, test } from "bun:test";
import { jsonPieces, jsonWithGaps, PIECE_BYTES, StoredValue, ValueChanged } from "./stored-value.ts";

const stored = (bytes: Uint8Array, as: "text" | "base64") =>
  new StoredValue(bytes.length, as, async (offset, count) =>
    new Uint8Array(bytes).slice(offset, offset + count),
  );

const written = async (value: unknown) =>
  Buffer.concat(
    (await Array.fromAsync(jsonPieces(jsonWithGaps(value)))).map((piece) => Buffer.from(piece as string)),
  ).toString();

const filler = "x".repeat(PIECE_BYTES - 2);
test.each([
  ["plain text", "abc"],
  ["text that JSON escapes", '"\\\n\r\t\b\f\u0001/'],
  ["letters of two, three and four bytes on the seam of two pieces", `${filler}äöü€€😀😀${filler}é`],
  ["quotes and backslashes on the seam of two pieces", `${filler}\\"\\"\\"\\"`],
  ["no text", ""],
])("%s", async (_, text) => {
  expect(await written({ a: 1, text: stored(Buffer.from(text), "text"), b: [null] })).toBe(
    JSON.stringify({ a: 1, text, b: [null] }),
  );
  expect(await stored(Buffer.from(text), "text").whole()).toBe(text);
});

test("bytes come as one base64 text, whatever the pieces", async () => {
  for (const length of [0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 2 * PIECE_BYTES + 2]) {
    const bytes = crypto.getRandomValues(Buffer.alloc(Math.min(length, 65_536)));
    const whole = Buffer.concat([bytes, Buffer.alloc(length - bytes.length, 7)]);
    expect(await written([stored(whole, "base64")])).toBe(JSON.stringify([whole.toString("base64")]));
    expect(await stored(whole, "base64").whole()).toEqual(whole);
  }
});

test("several values keep their places, and a value without any is what JSON.stringify gives", async () => {
  const text = (value: string) => stored(Buffer.from(value), "text");
  expect(await written({ one: text("1"), inner: [text("2"), { three: text("3") }] })).toBe(
    '{"one":"1","inner":["2",{"three":"3"}]}',
  );
  expect(await written({ a: [1, undefined, null], b: undefined })).toBe('{"a":[1,null,null]}');
});

test("a value that changes while it is read is not passed off as whole", async () => {
  const gone = new StoredValue(10, "text", async () => undefined);
  await expect(written({ gone })).rejects.toThrow(ValueChanged);
  await expect(gone.whole()).rejects.toThrow(ValueChanged);
  // At once there is nothing to write: a missing piece of code must not pass for an empty text.
  expect(() => JSON.stringify({ gone })).toThrow();
});
