// What is kept for a client that may come back: how much, for how long, and who is told when it had to go.
import { expect, test } from "bun:test";
import { testLimits } from "../../../test/support/limits.ts";
import { until } from "../../../test/support/until.ts";
import type { EventFrame } from "../../http/event-frame.ts";
import type { EventReader } from "../../http/event-reader.ts";
import type { StreamMessage } from "../wire/stream-message.ts";
import { messageWriter } from "./frame-writer.ts";
import { type ResumableParts, ResumableSink } from "./resumable-sink.ts";

class Reader {
  text = "";
  isOpen = true;
  send({ bytes }: EventFrame): boolean {
    if (this.isOpen) this.text += new TextDecoder().decode(bytes);
    return this.isOpen;
  }
  taking(): undefined {}
  end(): void {
    this.isOpen = false;
  }
  get numbers(): number[] {
    return [...this.text.matchAll(/^id: (\d+)\ndata: .*"sequence":\1,/gm)].map(([, id]) => Number(id));
  }
}

function made(parts: Partial<ResumableParts> & { readonly memory?: number } = {}) {
  const limits = testLimits(parts.memory === undefined ? {} : { maxMemoryBytesInFlight: parts.memory });
  const told: string[] = [];
  const sink = new ResumableSink({
    frames: messageWriter,
    maxFrames: 10,
    awayMs: 60_000,
    queues: limits.queues,
    left: () => told.push("left"),
    ...parts,
  });
  let sequence = 0;
  return {
    sink,
    limits,
    told,
    attach: (after: number) => {
      const reader = new Reader();
      return { reader, isThere: sink.attach(reader as unknown as EventReader, after) };
    },
    detach: (reader: Reader) => sink.detach(reader as unknown as EventReader),
    give: (count: number, data: unknown = "x") => {
      for (let at = 0; at < count; at++)
        sink.send({
          type: "data",
          sequence: ++sequence,
          payload: { data },
          timestamp_ms: 1,
        } as StreamMessage);
    },
  };
}

const numbers = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, at) => from + at);

test("who comes back has every frame once, whatever was on its way", () => {
  const { attach, detach, give } = made();
  const first = attach(0);
  give(5);
  detach(first.reader);
  give(4);
  const second = attach(3);
  give(2);
  expect([first.reader.numbers, second.reader.numbers]).toEqual([numbers(1, 5), numbers(4, 11)]);
  expect([first.isThere, second.isThere]).toEqual([true, true]);
});

test("so many frames wait, and as many that were sent are kept; then there is no room", async () => {
  const { sink, attach, detach, give } = made();
  const { reader } = attach(0);
  give(25);
  expect([sink.has(14), sink.has(15)]).toEqual([false, true]);
  detach(reader);
  expect([sink.isHeard, sink.room()]).toEqual([false, undefined]);
  give(9);
  expect(sink.room()).toBeUndefined();
  give(1);
  const room = sink.room();
  expect(room).toBeInstanceOf(Promise);
  // What was sent is still there for who did not get it.
  expect(sink.has(15)).toBe(true);
  const second = attach(15);
  await room;
  expect([sink.room(), second.reader.numbers]).toEqual([undefined, numbers(16, 35)]);
  expect(attach(14).isThere).toBe(false);
});

test("bytes bound it too: what was sent makes room for what waits", () => {
  const { sink, attach, detach, give } = made({ maxFrames: 1_000, maxBytes: 10_000 });
  const { reader } = attach(0);
  give(20, "x".repeat(1_000));
  expect(sink.keptBytes).toBeLessThanOrEqual(10_000);
  detach(reader);
  let more = 0;
  while (sink.room() === undefined) {
    give(1, "x".repeat(1_000));
    more++;
  }
  expect(more).toBeGreaterThan(5);
  expect(sink.keptBytes).toBeLessThan(12_000);
  expect([sink.has(19), sink.has(20)]).toEqual([false, true]);
});

test("what was acknowledged is not kept", () => {
  const { sink, attach, give } = made();
  attach(0);
  give(5);
  sink.acked(3);
  expect([sink.has(2), sink.has(3)]).toEqual([false, true]);
  sink.acked(5);
  expect(sink.keptBytes).toBe(0);
});

test("the older reader of two is closed, and its leaving means nothing", () => {
  const { sink, attach, detach, give } = made();
  const first = attach(0);
  const second = attach(0);
  detach(first.reader);
  give(1);
  expect([first.reader.isOpen, second.reader.isOpen, sink.isHeard]).toEqual([false, true, true]);
  expect([first.reader.numbers, second.reader.numbers]).toEqual([[], [1]]);
});

test("who stays away has left, once", async () => {
  const { sink, limits, told, attach, detach, give } = made({ awayMs: 30 });
  const { reader } = attach(0);
  give(3);
  detach(reader);
  sink.away();
  await until("it to be told", () => told.length > 0);
  sink.leave();
  expect([told, sink.keptBytes, limits.queues.held(), attach(3).isThere]).toEqual([["left"], 0, 0, false]);
  expect(sink.send({ type: "data", sequence: 4, payload: { data: 1 }, timestamp_ms: 1 })).toBe("gone");
});

test("when memory is needed: of who reads what was sent goes, of who is away everything", () => {
  const here = made({ memory: 1024 * 1024, maxBytes: 64 * 1024 * 1024, maxFrames: 1_000 });
  here.attach(0);
  here.give(30, "x".repeat(100_000));
  expect(here.limits.queues.held()).toBeLessThanOrEqual(1024 * 1024);
  expect([here.told, here.sink.has(0), here.sink.has(30)]).toEqual([[], false, true]);
  const away = made({ memory: 1024 * 1024, maxBytes: 64 * 1024 * 1024, maxFrames: 1_000 });
  away.detach(away.attach(0).reader);
  away.give(30, "x".repeat(100_000));
  expect([away.told, away.limits.queues.held(), away.sink.keptBytes]).toEqual([["left"], 0, 0]);
});
