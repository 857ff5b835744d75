import { expect, test } from "bun:test";
import { claimedTime } from "./presence-rules.ts";

const NOW = 1_800_000_000_000;

test.each([
  ["now", NOW, NOW],
  ["a moment ago, with a fraction", NOW - 1_000.5, NOW - 1_001],
  ["ten minutes ago", NOW - 600_000, NOW - 600_000],
  ["longer ago", NOW - 600_001, undefined],
  ["ahead", NOW + 1, NOW],
  ["a day ahead", NOW + 86_400_000, NOW],
  ["a day ago", NOW - 86_400_000, undefined],
  ["no number", Number.NaN, undefined],
  ["beyond every number", Number.POSITIVE_INFINITY, undefined],
])("%s", (_, claimed, at) => {
  expect(claimedTime(claimed, NOW)).toBe(at);
});
