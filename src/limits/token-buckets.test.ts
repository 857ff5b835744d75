// A burst, then a steady rate; bounded in memory; a clock that jumps harms nobody.
import { expect, test } from "bun:test";
import { TokenBuckets } from "./token-buckets.ts";

let now = 0;
const buckets = (maxKeys?: number) => {
  now = 1_000_000;
  return new TokenBuckets({ burst: 3, perSecond: 2 }, () => now, maxKeys);
};
const take = (from: TokenBuckets, times: number, key = "a") =>
  Array.from({ length: times }, () => from.exceeded(key));

test("the burst passes, the next hears how long to wait, and passes then", () => {
  const limit = buckets();
  expect(take(limit, 4)).toEqual([undefined, undefined, undefined, 500]);
  now += 250;
  expect(limit.exceeded("a")).toBe(250);
  now += 250;
  expect(limit.exceeded("a")).toBeUndefined();
  expect(limit.exceeded("a")).toBe(500);
});

test("whoever waits long has the burst again, and no more", () => {
  const limit = buckets();
  take(limit, 10);
  now += 3_600_000;
  expect(take(limit, 4)).toEqual([undefined, undefined, undefined, 500]);
});

test("trying while it is refused costs nothing", () => {
  const limit = buckets();
  take(limit, 1_000);
  now += 500;
  expect(limit.exceeded("a")).toBeUndefined();
});

test("keys do not share", () => {
  const limit = buckets();
  take(limit, 5);
  expect(limit.exceeded("b")).toBeUndefined();
});

test("a clock that is set back neither gives nor takes", () => {
  const limit = buckets();
  take(limit, 3);
  now -= 3_600_000;
  expect(limit.exceeded("a")).toBe(500);
  now += 500;
  expect(limit.exceeded("a")).toBeUndefined();
});

test("the number of keys is bounded: who called least lately is forgotten", () => {
  const limit = buckets(100);
  take(limit, 4, "busy");
  for (let index = 0; index < 10_000; index++) {
    limit.exceeded(`key-${index}`);
    if (index % 50 === 0) limit.exceeded("busy");
  }
  expect(limit.keys).toBe(100);
  expect(limit.exceeded("busy")).toBe(500);
});
