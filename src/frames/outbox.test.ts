// The writer of a client: order, what leaves together, what waits, and when acknowledgements are due.
import { describe, expect, test } from "bun:test";
import { EndOfTurn } from "../server/end-of-turn.ts";
import type { SendResult } from "../server/peer.ts";
import { Outbox, type Sink } from "./outbox.ts";
import { QueueBudget } from "./queue-budget.ts";
import { QueuedFrame } from "./queued-frame.ts";

const turnOver = () => new Promise<void>((resolve) => setImmediate(() => setImmediate(resolve)));

/** A socket that takes what the test lets it take. */
class TestSink implements Sink {
  queuedBytes = 0;
  /** What `send` answers; "written" when used up. */
  answers: SendResult[] = [];
  /** Set to leave so much untaken after a cork. */
  leftAfterCork = 0;
  readonly writes: string[][] = [];
  #corked: string[] | undefined;

  send(data: string | Uint8Array): SendResult {
    if (this.#corked === undefined) this.writes.push([String(data).slice(0, 5)]);
    else this.#corked.push(String(data).slice(0, 5));
    return this.answers.shift() ?? "written";
  }

  cork<T>(work: () => T): T {
    this.#corked = [];
    const result = work();
    this.writes.push(this.#corked);
    this.#corked = undefined;
    this.queuedBytes = this.leftAfterCork;
    return result;
  }
}

function outbox({ capacity = 256, writeTimeoutMs = 60_000, budgetBytes = 2 ** 26 } = {}) {
  const sink = new TestSink();
  const budget = new QueueBudget(
    () => budgetBytes,
    () => {},
  );
  const acks: string[] = [];
  const ends: string[] = [];
  const box: Outbox = new Outbox({
    sink,
    turn: new EndOfTurn((error) => {
      throw error;
    }),
    budget,
    capacity,
    writeTimeoutMs,
    onSlow: () => ends.push("slow"),
    onOverBudget: () => {
      ends.push("over budget");
      box.close();
    },
    onLost: () => {
      ends.push("lost");
      box.close();
    },
    onSent: () => {},
  });
  const push = (data: string) =>
    box.offer(new QueuedFrame({ data, ack: (error) => acks.push(`${data} ${error?.name ?? "ok"}`) }));
  return { sink, acks, ends, box, push, budget };
}

describe("one turn's frames", () => {
  test("leave at its end, together, in order", async () => {
    const { sink, acks, push } = outbox();
    for (const data of ["1", "2", "3"]) push(data);
    expect(sink.writes).toEqual([]);
    await turnOver();
    expect(sink.writes).toEqual([["1", "2", "3"]]);
    expect(acks).toEqual(["1 ok", "2 ok", "3 ok"]);
    push("4");
    await turnOver();
    expect(sink.writes).toEqual([["1", "2", "3"], ["4"]]);
  });

  test("a long row leaves in parts, a large frame alone", async () => {
    const { sink, push } = outbox();
    for (let index = 0; index < 130; index++) push(`${index}`);
    await turnOver();
    expect(sink.writes.map(({ length }) => length)).toEqual([64, 64, 2]);
    expect(sink.writes.flat()).toEqual(Array.from({ length: 130 }, (_, index) => `${index}`));
    sink.writes.length = 0;
    for (const data of ["a", "L".repeat(20_000), "b", "c"]) push(data);
    await turnOver();
    expect(sink.writes).toEqual([["a"], ["LLLLL"], ["b", "c"]]);
  });
});

describe("a socket that does not take everything", () => {
  test("what it refused first is in flight, the rest waits for the drain", async () => {
    const { sink, acks, box, push } = outbox();
    for (const data of ["1", "2", "3", "4"]) push(data);
    sink.answers = ["written", "waiting"];
    await turnOver();
    expect(sink.writes).toEqual([["1", "2"]]);
    expect(acks).toEqual([]);
    push("5");
    box.drained();
    expect(sink.writes).toEqual([
      ["1", "2"],
      ["3", "4", "5"],
    ]);
    expect(acks).toEqual(["1 ok", "2 ok", "3 ok", "4 ok", "5 ok"]);
  });

  test("what shows only after the cork holds the acknowledgements too, and starts the deadline", async () => {
    const { sink, acks, ends, box, push } = outbox({ writeTimeoutMs: 20 });
    sink.leftAfterCork = 100;
    push("1");
    push("2");
    await turnOver();
    expect(acks).toEqual([]);
    push("3");
    await Bun.sleep(40);
    expect(ends).toEqual(["slow"]);
    expect(sink.writes).toEqual([["1", "2"]]);
    box.close();
    expect(acks).toEqual(["1 ErrClientClosed", "2 ErrClientClosed", "3 ErrClientClosed"]);
  });

  test("a drain in time ends the deadline", async () => {
    const { sink, ends, box, push } = outbox({ writeTimeoutMs: 20 });
    sink.answers = ["waiting"];
    push("1");
    await turnOver();
    box.drained();
    await Bun.sleep(40);
    expect(ends).toEqual([]);
  });

  test("a burst beyond the capacity is refused only when the socket does not keep up", async () => {
    const quick = outbox({ capacity: 1 });
    for (let index = 0; index < 10; index++) quick.push(`${index}`);
    await turnOver();
    expect(quick.sink.writes.flat()).toHaveLength(10);
    const slow = outbox({ capacity: 1 });
    slow.sink.answers = ["waiting"];
    slow.push("1");
    expect([slow.push("2"), slow.push("3")]).toEqual(["queued", "full"]);
  });

  test("a socket that is gone fails what it did not take, once", async () => {
    const { sink, acks, ends, box, push } = outbox();
    sink.answers = ["written", "lost"];
    for (const data of ["1", "2", "3"]) push(data);
    await turnOver();
    expect(ends).toEqual(["lost"]);
    box.close();
    expect(acks.toSorted()).toEqual(["1 ErrClientClosed", "2 ErrClientClosed", "3 ErrClientClosed"]);
    expect(push("4")).toBe("closed");
  });
});

test("a client that is lost while it is offered a frame fails that frame too", () => {
  const { sink, acks, ends, push } = outbox();
  for (let index = 0; index < 64; index++) push(`${index}`);
  sink.answers = ["lost"];
  expect([push("64"), ends, acks.length]).toEqual(["closed", ["lost"], 64]);
});

test("what an acknowledgement pushes comes after what waits", () => {
  const { sink, box, push } = outbox();
  sink.answers = ["waiting"];
  box.offer(new QueuedFrame({ data: "1", ack: () => push("3") }));
  box.flush();
  push("2");
  box.drained();
  box.flush();
  expect(sink.writes).toEqual([["1"], ["2"], ["3"]]);
});

describe("the budget of all queues", () => {
  test("ends a client as soon as one frame that is in flight exceeds it", async () => {
    const { sink, ends, push } = outbox({ budgetBytes: 10_000 });
    sink.answers = ["waiting"];
    push("x".repeat(20_000));
    expect(ends).toEqual([]);
    await turnOver();
    expect(ends).toEqual(["over budget"]);
  });

  test("ends a client as soon as what waits behind exceeds it", async () => {
    const { sink, ends, push } = outbox({ budgetBytes: 10_000 });
    sink.answers = ["waiting"];
    push("x".repeat(4_000));
    await turnOver();
    push("y".repeat(4_000));
    expect(ends).toEqual([]);
    push("z".repeat(4_000));
    expect(ends).toEqual(["over budget"]);
  });

  test("does not ask a client that has nothing left, or is gone", async () => {
    const { sink, ends, box, push, budget } = outbox();
    for (const end of [() => box.drained(), () => box.close()]) {
      sink.answers = ["waiting"];
      push("x");
      await turnOver();
      end();
      budget.giveUpSlowest();
      expect(ends).toEqual([]);
    }
  });
});
