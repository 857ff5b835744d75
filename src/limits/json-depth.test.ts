// Depth is what a parser would build, to the level, whatever stands in strings; and looking costs little beside parsing.
import { describe, expect, test } from "bun:test";
import { isTooDeep, isTooDeepBytes } from "./json-depth.ts";

const nested = (levels: number, open = "[", close = "]") => open.repeat(levels) + close.repeat(levels);

describe.each([
  ["text", isTooDeep],
  ["bytes", (text: string, limit?: number) => isTooDeepBytes(Buffer.from(text), limit)],
] as const)("%s", (_kind, isDeep) => {
  test.each([
    ["256 levels", nested(256), false],
    ["257 levels", nested(257), true],
    ["257 levels of objects", `${'{"a":'.repeat(257)}1${"}".repeat(257)}`, true],
    ["256 levels of both", `${'[{"a":'.repeat(128)}1${"}]".repeat(128)}`, false],
    ["257 levels of both", `[${'[{"a":'.repeat(128)}1${"}]".repeat(128)}]`, true],
    ["much beside each other", `[${Array(5_000).fill("[[{}]]").join(",")}]`, false],
    ["brackets in a string", JSON.stringify({ a: "[{".repeat(5_000) }), false],
    ["brackets in a key", JSON.stringify({ ["[".repeat(5_000)]: 1 }), false],
    ["brackets behind an escaped quote", JSON.stringify(`"${"[".repeat(5_000)}`), false],
    ["brackets behind an escaped backslash", `["\\\\",${nested(256)}]`, true],
    ["brackets behind many backslashes", `["${"\\\\".repeat(999)}\\"${"[".repeat(999)}"]`, false],
    ["closing brackets in strings do not count", `["]",${nested(256)}]`, true],
    ["letters that share bits with brackets", `["${"K[k{M]m}".repeat(200)}"]`, false],
    ["characters beyond ASCII", JSON.stringify([`ü💡${"[".repeat(300)}`, "嬛".repeat(300)]), false],
    ["characters beyond ASCII, and deep", `${JSON.stringify(["💡"]).slice(0, -1)},${nested(256)}]`, true],
    ["an open end", "[".repeat(300), true],
    ["an open string", `${"[".repeat(200)}"${"[".repeat(200)}`, false],
    ["nothing", "", false],
  ])("%s", (_name, text, expected) => expect(isDeep(text)).toBe(expected));

  test("agrees with what a parser builds, for random values", () => {
    for (let round = 0; round < 300; round++) {
      const value = random(0);
      const depth = depthOf(value);
      const text = JSON.stringify(value);
      expect([text, isDeep(text, depth)]).toEqual([text, false]);
      if (depth > 0) expect([text, isDeep(text, depth - 1)]).toEqual([text, true]);
    }
  });
});

const PIECES = ["[", "]", "{", "}", '"', "\\", "a", "ü", "嬛", "\n", "💡", ","];
const word = () =>
  Array.from({ length: Math.floor(Math.random() * 6) }, () => PIECES[Math.floor(Math.random() * 12)]).join(
    "",
  );

function random(level: number): unknown {
  const kind = Math.random() * (level > 6 ? 2 : 5);
  if (kind < 1) return word();
  if (kind < 2) return level;
  const parts = Array.from({ length: Math.floor(Math.random() * 4) }, () => random(level + 1));
  return kind < 3.5 ? parts : Object.fromEntries(parts.map((part) => [word(), part]));
}

function depthOf(value: unknown): number {
  if (typeof value !== "object" || value === null) return 0;
  return 1 + Math.max(0, ...Object.values(value).map(depthOf));
}

test("a megabyte of content is looked at in a tenth of the time that parsing takes", () => {
  const messages = [{ localId: "a", content: "c29tZSBjb250ZW50".repeat(65_000) }];
  const text = JSON.stringify({ messages });
  const best = (work: () => unknown) => {
    let least = Number.POSITIVE_INFINITY;
    for (let round = 0; round < 30; round++) {
      const startedAt = performance.now();
      work();
      least = Math.min(least, performance.now() - startedAt);
    }
    return least;
  };
  // Loose: parsing one string is the fastest parsing there is.
  expect(best(() => isTooDeep(text))).toBeLessThan(best(() => JSON.parse(text)) * 0.5);
});
