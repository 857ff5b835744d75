// So much at once, then so much a second; what is owed comes off what follows.
import { expect, test } from "bun:test";
import { type BucketSize, TokenBucket } from "./token-bucket.ts";

function bucket(size: BucketSize) {
  const clock = { now: 0 };
  const sized = { ...size };
  const made = new TokenBucket(
    () => sized,
    () => clock.now,
  );
  const taken = (tries: number) => Array.from({ length: tries }, () => made.take()).filter(Boolean).length;
  return { bucket: made, clock, sized, taken };
}

test("a burst, then the rate, and never more than the burst again", () => {
  const { clock, taken } = bucket({ burst: 10, perSecond: 5 });
  expect(taken(12)).toBe(10);
  clock.now = 1_000;
  expect(taken(12)).toBe(5);
  clock.now = 100_000;
  expect(taken(12)).toBe(10);
});

test("what is owed is paid back first", () => {
  const { bucket: owing, clock, taken } = bucket({ burst: 10, perSecond: 5 });
  owing.owe(20);
  expect(taken(1)).toBe(0);
  clock.now = 2_000;
  expect(taken(1)).toBe(0);
  clock.now = 3_000;
  expect(taken(9)).toBe(5);
});

test("what costs more than the burst waits for a full bucket, and is owed then", () => {
  const { bucket: big, clock } = bucket({ burst: 10, perSecond: 5 });
  expect(big.take(25)).toBe(true);
  clock.now = 3_000;
  expect(big.take(25)).toBe(false);
  clock.now = 5_000;
  expect(big.take(25)).toBe(true);
});

test("a size of zero is no limit; a size that changes counts from then on", () => {
  const { sized, clock, taken } = bucket({ burst: 0, perSecond: 0 });
  expect(taken(1_000)).toBe(1_000);
  Object.assign(sized, { burst: 3, perSecond: 1 });
  expect(taken(5)).toBe(3);
  Object.assign(sized, { burst: 0, perSecond: 0 });
  clock.now = 1_000;
  expect(taken(5)).toBe(5);
});

test("it is full when it knows nothing that a new one would not know", () => {
  const { bucket: one, clock } = bucket({ burst: 2, perSecond: 1 });
  expect(one.full).toBe(true);
  one.take();
  expect(one.full).toBe(false);
  clock.now = 1_000;
  expect(one.full).toBe(true);
});
