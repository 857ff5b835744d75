// When a client is asked to come again.
import { expect, test } from "bun:test";
import { later } from "./retry-after.ts";

test.each([
  [0, "1"],
  [1, "1"],
  [1_000, "1"],
  [1_001, "2"],
  [90_000, "90"],
])("%d ms are %s s", (waitMs, seconds) => {
  expect(later(new Response(), waitMs).headers.get("retry-after")).toBe(seconds);
});
