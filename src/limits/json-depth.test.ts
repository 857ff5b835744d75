// Depth is seen from the text: brackets in strings do not count, siblings do not add up.
import { expect, test } from "bun:test";
import { isDeeperThan } from "./json-depth.ts";

const nested = (levels: number, open = "[", close = "]") => open.repeat(levels) + close.repeat(levels);

test.each([
  ["256 lists", nested(256), false],
  ["257 lists", nested(257), true],
  ["256 objects", `${'{"a":'.repeat(256)}1${"}".repeat(256)}`, false],
  ["257 objects", `${'{"a":'.repeat(257)}1${"}".repeat(257)}`, true],
  ["half a million lists", nested(500_000), true],
  ["many siblings", `[${Array.from({ length: 1_000 }, () => "[]").join()}]`, false],
  ["brackets in a string", JSON.stringify("[".repeat(1_000)), false],
  ["a quote and a backslash in a string", JSON.stringify(`\\"${"[{".repeat(1_000)}`), false],
  ["depth after such a string", `{"a":"\\\\","b":${nested(256)}}`, true],
  ["nothing", "", false],
])("%s", (_, text, deeper) => expect(isDeeperThan(text)).toBe(deeper));
