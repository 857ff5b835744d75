import { expect, test } from "bun:test";
import { bearerToken } from "./bearer.ts";

test.each<[string | null, string | undefined, string | undefined]>([
  ["Bearer abc", "abc", "abc"],
  ["Bearer  abc", " abc", "abc"],
  ["Bearer a b", "a b", undefined],
  ["Bearer a\tb", "a\tb", undefined],
  ["Bearer \tabc", "\tabc", undefined],
  ["Bearer   ", "  ", undefined],
  [null, undefined, undefined],
  ["", undefined, undefined],
  ["Bearer", undefined, undefined],
  ["Bearer ", undefined, undefined],
  ["Bearer\tabc", undefined, undefined],
  ["Bearerabc", undefined, undefined],
  ["bearer abc", undefined, undefined],
  ["Basic abc", undefined, undefined],
])("%j has the token %j, and %j where several blanks are allowed", (header, one, several) => {
  expect(bearerToken(header)).toBe(one);
  expect(bearerToken(header, "several blanks")).toBe(several);
});
