// What counts, who is closed first, and that a burst to clients that read is no reason to close anybody.
import { describe, expect, test } from "bun:test";
import { type BlockedQueue, QueueBudget } from "./queue-budget.ts";
import { QueuedFrame } from "./queued-frame.ts";

const KIB = 1_024;

function budget(limitBytes: number) {
  const reliefs: number[] = [];
  const made = new QueueBudget(
    () => limitBytes,
    (closed) => reliefs.push(closed),
  );
  const closed: string[] = [];
  /** A client that has not taken `frames` since `secondsAgo`. */
  const reader = (name: string, frames: QueuedFrame[], secondsAgo: number): BlockedQueue => {
    const queue: BlockedQueue = {
      bytes: frames.reduce((sum, { bytes }) => sum + bytes, 0),
      since: performance.now() - 1_000 * secondsAgo,
      giveUp: () => {
        closed.push(name);
        made.leave(queue);
        for (const frame of frames) made.release(frame);
      },
    };
    made.join(queue);
    for (const frame of frames) made.hold(frame);
    return queue;
  };
  const unique = (count: number) =>
    Array.from({ length: count }, () => new QueuedFrame({ data: "x".repeat(KIB) }));
  return { budget: made, reliefs, closed, reader, unique };
}

describe("what counts", () => {
  test("a frame that a thousand clients wait for counts once, besides their places", () => {
    const { budget: made } = budget(2 ** 30);
    const frame = new QueuedFrame({ data: "x".repeat(100 * KIB) });
    for (let client = 0; client < 1_000; client++) made.hold(frame);
    expect(made.heldBytes).toBeWithin(100 * KIB, 140 * KIB);
    for (let client = 0; client < 1_000; client++) made.release(frame);
    expect(made.heldBytes).toBe(0);
  });

  test("a text counts two bytes a character as soon as one of them needs it; an empty frame is not free", () => {
    const bytes = (data: string | Uint8Array<ArrayBuffer>) => new QueuedFrame({ data }).bytes;
    expect(bytes(`${"x".repeat(1_000)}☃`)).toBeGreaterThan(2_000);
    expect(bytes("x".repeat(1_000))).toBeWithin(1_000, 1_300);
    expect(bytes(new Uint8Array(1_000))).toBeWithin(1_000, 1_300);
    expect(bytes("")).toBeGreaterThan(64);
  });

  test("messages for handlers and the bus have a quarter, and never cost a reader its connection", () => {
    const { budget: made, closed, reader, unique } = budget(100 * KIB);
    reader("reader", unique(10), 60);
    expect(made.reserve(25 * KIB)).toBe(true);
    expect(made.reserve(1)).toBe(false);
    made.keep();
    expect(closed).toEqual([]);
    made.unreserve(25 * KIB);
    expect(made.reserve(1)).toBe(true);
  });
});

describe("above the budget", () => {
  test("the slowest are closed, only as many as it takes, and the others stay", () => {
    const { budget: made, closed, reliefs, reader, unique } = budget(100 * KIB);
    reader("a moment, much", unique(30), 0);
    reader("long, much", unique(40), 60);
    reader("long, little", unique(2), 60);
    reader("a moment, little", unique(2), 0);
    made.keep();
    expect(closed).toEqual([]);
    reader("not so long, much", unique(30), 30);
    made.keep();
    expect(closed).toEqual(["long, much"]);
    expect(reliefs).toEqual([1]);
    expect(made.heldBytes).toBeLessThan(100 * KIB);
  });

  test("for the memory of the whole server the slowest goes, and says what that freed", () => {
    const { budget: made, closed, reader, unique } = budget(2 ** 30);
    expect(made.giveUpSlowest()).toBe(0);
    reader("new", unique(10), 0);
    reader("old", unique(10), 60);
    expect(made.giveUpSlowest()).toBeGreaterThan(10 * KIB);
    expect(closed).toEqual(["old"]);
  });
});
