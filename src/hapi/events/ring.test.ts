import { describe, expect, test } from "bun:test";
import { EventFrame } from "../../http/event-frame.ts";
import { RING_BYTES, RING_EVENTS, Ring } from "./ring.ts";

const keep = (ring: Ring, length = 10) =>
  ring.keep({
    number: ring.last + 1,
    told: { namespace: "default" },
    frame: new EventFrame("x".repeat(length)),
  });
const numbers = (ring: Ring, after: number) => ring.after(after)?.map(({ number }) => number);

describe("the ring", () => {
  test("has everything after a number that it kept, in order, and nothing after the last", () => {
    const ring = new Ring();
    for (let at = 0; at < 5; at++) keep(ring);
    expect(numbers(ring, 2)).toEqual([3, 4, 5]);
    expect(numbers(ring, 5)).toEqual([]);
    expect(numbers(ring, 6)).toBeUndefined();
  });

  test("keeps the last 256, and knows what it lost", () => {
    const ring = new Ring();
    for (let at = 0; at < RING_EVENTS + 10; at++) keep(ring);
    expect(numbers(ring, 9)).toBeUndefined();
    expect(numbers(ring, 10)?.length).toBe(RING_EVENTS);
    expect(numbers(ring, 10)?.[0]).toBe(11);
    expect(ring.bytes).toBe(RING_EVENTS * 10);
  });

  test("keeps two mebibytes", () => {
    const ring = new Ring();
    for (let at = 0; at < 10; at++) keep(ring, RING_BYTES / 4);
    expect(numbers(ring, 5)).toBeUndefined();
    expect(numbers(ring, 6)).toEqual([7, 8, 9, 10]);
    expect(ring.bytes).toBe(RING_BYTES);
  });

  test("forgets everything before one that is too large to be kept, and that one", () => {
    const ring = new Ring();
    keep(ring);
    keep(ring, RING_BYTES + 1);
    expect([numbers(ring, 1), numbers(ring, 2), ring.bytes]).toEqual([undefined, [], 0]);
    keep(ring);
    expect(numbers(ring, 2)).toEqual([3]);
    expect(numbers(ring, 1)).toBeUndefined();
  });
});
