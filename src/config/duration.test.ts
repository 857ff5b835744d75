// Durations of the hub's configuration: what is accepted, what it means, and that a bare number is refused.
import { expect, test } from "bun:test";
import { duration, parseDuration } from "./duration.ts";

test.each([
  ["3m", 180_000],
  ["5s", 5_000],
  ["1h30m", 5_400_000],
  ["1.5s", 1_500],
  [".5s", 500],
  ["250ms", 250],
  ["1500us", 1.5],
  ["2µs", 0.002],
  ["1000000ns", 1],
  ["-5s", -5_000],
  ["+5s", 5_000],
  ["0", 0],
])("%s is %d ms", (text, ms) => expect(parseDuration(text)).toBe(ms));

test.each(["", "5", "5 s", "s", "-", "3m5", "1d", "1h-5m", "abc", "1e3s"])("%p is no duration", (text) =>
  expect(parseDuration(text)).toBeUndefined(),
);

test("a setting outside its bounds, or without a unit, says what is wrong", () => {
  const schema = duration(100, 60_000);
  expect(schema.parse("30s")).toBe(30_000);
  expect(schema.safeParse("30").error?.issues[0]?.message).toContain("unit");
  expect(schema.safeParse("1ms").error?.issues[0]?.message).toBe("it must be from 100 ms to 60000 ms");
  expect(schema.safeParse("2m").success).toBe(false);
});
