// Strict and lenient readings agree with data contract 7.5 and HTTP contract 2.1.
import { expect, test } from "bun:test";
import { Base64Error, decodeLenient, decodeStrict, encode } from "./base64.ts";

test.each([
  ["", ""],
  ["AAEC", "000102"],
  ["AAE=", "0001"],
  ["AA==", "00"],
  ["AAECAA", "00010200"],
  ["+/+/", "fbffbf"],
])("strict reads %p", (text, hex) => {
  expect(Buffer.from(decodeStrict(text)).toString("hex")).toBe(hex);
});

test.each(["A", "AA", "AAA", "A===", "AA=", "AAECA", "AA-_", "AAEC ", "AAEC\n", "AAE=AAE=", "====", "é"])(
  "strict refuses %p",
  (text) => {
    expect(() => decodeStrict(text)).toThrow(Base64Error);
  },
);

test("lenient skips junk, and encoding pads", () => {
  expect(encode(decodeLenient("not base64!!"))).toBe("notbase6");
});
