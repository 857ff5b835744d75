// A pattern means what is written in it: one sign is special, and no pattern and no name can hold the event loop.
import { expect, test } from "bun:test";
import { matches } from "./glob.ts";

test.each<[string, string, boolean]>([
  ["rpc.v2/DocsService/Read", "rpc.v2/DocsService/Read", true],
  ["rpc.v2/DocsService/Read", "rpc.v2/DocsService/Reader", false],
  ["rpc.v2/DocsService/Read", "xrpc.v2/DocsService/Read", false],
  ["rpc.v2/DocsService/*", "rpc.v2/DocsService/Read", true],
  ["rpc.v2/DocsService/*", "rpc.v2/DocsService/", true],
  ["rpc.v2/DocsService/*", "rpc.v2/DocsServiceX/Read", false],
  ["*/Read", "rpc.v2/DocsService/Read", true],
  ["*/Read", "rpc.v2/DocsService/ReadMe", false],
  ["rpc.v2/*/Re*d", "rpc.v2/A.B/Read", true],
  ["a*b*c", "aXbXbXc", true],
  ["a*b*c", "acb", false],
  ["a*ab", "aab", true],
  ["a*ab", "ab", false],
  ["*", "", true],
  ["**", "x", true],
  ["", "", true],
  ["", "x", false],
  ["x", "", false],
])("%p and %p: %p", (pattern, text, expected) => {
  expect(matches(pattern, text)).toBe(expected);
});

test.each([
  ["rpc.v2/A/Run", "rpcXv2/A/Run"],
  ["A/Ru?", "A/R"],
  ["A/R+un", "A/RRun"],
  ["A/[RS]un", "A/Run"],
  ["A/(Run|Go)", "A/Go"],
  ["A/\\w+", "A/Run"],
  ["^A/Run$", "A/Run"],
  ["A/Run", "A/Run\n"],
  ["A/Run", "a/run"],
])("%p is no other text: %p", (pattern, text) => {
  expect(matches(pattern, text)).toBe(false);
  expect(matches(pattern, pattern)).toBe(true);
});

test("a star takes line ends too", () => {
  expect(matches("a*c", "a\nb\r\nc")).toBe(true);
});

test("a hundred stars over a long name are decided at once", () => {
  const began = performance.now();
  expect(matches(`${"*a".repeat(100)}b`, "a".repeat(10_000))).toBe(false);
  expect(performance.now() - began).toBeLessThan(2_000);
});

test("as a plain search of all splits decides, for every short pattern and text", () => {
  const plain = (pattern: string, text: string): boolean => {
    if (pattern === "") return text === "";
    if (pattern[0] !== "*")
      return pattern[0] === text[0] && text !== "" && plain(pattern.slice(1), text.slice(1));
    for (let take = 0; take <= text.length; take++)
      if (plain(pattern.slice(1), text.slice(take))) return true;
    return false;
  };
  const words = (signs: string, length: number): string[] =>
    length === 0
      ? [""]
      : words(signs, length - 1).flatMap((word) => [word, ...[...signs].map((sign) => word + sign)]);
  for (const pattern of new Set(words("ab*", 4)))
    for (const text of new Set(words("ab", 5)))
      if (matches(pattern, text) !== plain(pattern, text)) throw new Error(`${pattern} over ${text}`);
});
