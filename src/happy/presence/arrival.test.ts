// A sender's clock says where within the last minute, and nothing else.
import { expect, test } from "bun:test";
import { arrivalTime } from "./arrival.ts";

const NOW = 1_800_000_000_000;

test.each([
  ["now", NOW, NOW],
  ["a moment ago", NOW - 1, NOW - 1],
  ["within the minute, with a fraction", NOW - 1_000.5, NOW - 1_001],
  ["a minute ago", NOW - 60_000, NOW - 60_000],
  ["longer ago", NOW - 60_001, NOW],
  ["ahead", NOW + 1, NOW],
  ["a fraction ahead", NOW + 0.5, NOW],
  ["a year ago", NOW - 366 * 86_400_000, NOW],
  ["a year ahead", NOW + 366 * 86_400_000, NOW],
  ["never", 0, NOW],
  ["beyond every number", Number.POSITIVE_INFINITY, NOW],
  ["below every number", Number.NEGATIVE_INFINITY, NOW],
  ["no number", Number.NaN, NOW],
])("%s", (_, claimed, at) => {
  expect(arrivalTime(claimed, NOW)).toBe(at);
});
