// A fingerprint stays what it is for ever, and is read however a person types it.
import { expect, test } from "bun:test";
import { fingerprintOf, readFingerprint } from "./fingerprint.ts";

test("of a known key: lists, sentences and what people wrote down agree across versions", () => {
  expect(fingerprintOf("00".repeat(32))).toBe("CSM7-NBFR-CAYQ");
  expect(fingerprintOf("FF".repeat(32))).toBe(fingerprintOf("ff".repeat(32)));
});

test("differs between keys", () => {
  const all = Array.from({ length: 1_000 }, (_, index) =>
    fingerprintOf(index.toString(16).padStart(64, "0")),
  );
  expect(new Set(all).size).toBe(1_000);
});

test.each(["K7QM-3F9X-T0A1", "k7qm3f9xt0a1", " K7QM 3F9X T0A1 ", "K7QM-3F9X-TOAl", "k7qm-3f9x-toai"])(
  "%p is read",
  (typed) => expect(readFingerprint(typed)).toBe("K7QM-3F9X-T0A1"),
);

test.each([
  "",
  "K7QM",
  "K7QM-3F9X-T0A",
  "K7QM-3F9X-T0A12",
  "K7QM-3F9X-T0AU",
  "K7QM-3F9X-T0A!",
  "cmwrlqkun0000jex9rm7tvnk4",
])("%p is no fingerprint", (typed) => expect(readFingerprint(typed)).toBeUndefined());
