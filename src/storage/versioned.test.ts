// Compare-and-swap: whole or not at all, and a version never stands for two values.
import { expect, test } from "bun:test";
import { nextColumns, staleParts, versioned } from "./versioned.ts";

const PARTS = { text: "textVersion", state: "stateVersion" } as const;
const stored = { textVersion: 3, stateVersion: 0 };

test.each([
  ["nothing", {}, undefined],
  ["the current versions", { text: versioned("t", 3), state: versioned(null, 0) }, undefined],
  ["an older version of one", { text: versioned("t", 2) }, { text: true, state: false }],
  ["a version that is not there yet", { state: versioned("s", 1) }, { text: false, state: true }],
  ["one of two", { text: versioned("t", 3), state: versioned("s", 9) }, { text: false, state: true }],
  ["both", { text: versioned("t", 0), state: versioned("s", 3) }, { text: true, state: true }],
  ["no number", { text: versioned("t", Number.NaN) }, { text: true, state: false }],
  ["nearly the version", { text: versioned("t", 3.5) }, { text: true, state: false }],
] as const)("a change from %s", (_, change, stale) => {
  expect(staleParts(PARTS, change, stored)).toEqual(stale);
});

test("what is stored is what was given, each with its version counted up; the rest is not named", () => {
  expect(nextColumns(PARTS, {})).toEqual({});
  expect(nextColumns(PARTS, { text: versioned("t", 3) })).toEqual({ text: "t", textVersion: 4 });
  const both = { text: versioned("", 3), state: versioned(null, 0) };
  expect(nextColumns(PARTS, both)).toEqual({ text: "", textVersion: 4, state: null, stateVersion: 1 });
});

test("of two changes from the same version the second one stands against the first", () => {
  const change = { text: versioned("mine", 3) };
  const after = { ...stored, ...nextColumns(PARTS, change) };
  expect(staleParts(PARTS, { text: versioned("theirs", 3) }, after)).toEqual({ text: true, state: false });
  expect(staleParts(PARTS, { text: versioned("theirs", 4) }, after)).toBeUndefined();
});

test("a value without its version, and a version without a value, are none; null and empty are values", () => {
  expect([versioned("t", undefined), versioned(undefined, 0)]).toEqual([undefined, undefined]);
  expect(versioned(null, 0)).toEqual({ value: null, expectedVersion: 0 });
  expect(versioned("", 0)).toEqual({ value: "", expectedVersion: 0 });
});
