// An answer is asked for as fast as its reader takes it, holds one piece, and makes room for others when its reader stops.
import { afterEach, expect, test } from "bun:test";
import { Answers } from "./answers.ts";

const MIB = 1024 * 1024;
const closers: (() => unknown)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

/** Pieces that tell how many were asked for, and whether they were closed. */
function pieces(count: number, bytes: number) {
  const state = { asked: 0, closed: false };
  function* make() {
    try {
      while (state.asked < count) {
        state.asked++;
        yield new Uint8Array(bytes).fill(state.asked);
      }
    } finally {
      state.closed = true;
    }
  }
  return { state, iterator: make() };
}

/** Reads like a socket: what is handed over is taken at once, and not kept. */
async function all(stream: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk.slice());
  return new Uint8Array(Buffer.concat(chunks));
}

const never = (error: unknown) => {
  throw error;
};

test("what is read is what was given, in order", async () => {
  const answers = new Answers(() => 64 * MIB);
  function* mixed() {
    yield "a";
    yield "";
    yield new Uint8Array(300_000).fill(66);
    yield "é";
    yield new Uint8Array(1);
  }
  expect(await all(answers.stream(mixed(), never))).toEqual(
    new Uint8Array([97, ...new Uint8Array(300_000).fill(66), ...Buffer.from("é"), 0]),
  );
  expect(answers.held()).toBe(0);
  expect((await all(answers.stream([][Symbol.iterator](), never))).length).toBe(0);
});

test("pieces that take a wait are asked for one at a time, and one that comes after its reader has gone counts no more", async () => {
  const answers = new Answers(() => 64 * MIB);
  async function* slow() {
    yield "a";
    await Bun.sleep(1);
    yield new Uint8Array(300_000).fill(66);
  }
  const text = await all(answers.stream(slow(), never));
  expect([text.length, answers.held()]).toEqual([300_001, 0]);
  const gate = Promise.withResolvers<void>();
  let isClosed = false;
  async function* late() {
    try {
      await gate.promise;
      yield new Uint8Array(MIB);
    } finally {
      isClosed = true;
    }
  }
  const reader = answers.stream(late(), never).getReader();
  const reading = reader.read();
  await Bun.sleep(1);
  await reader.cancel();
  gate.resolve();
  expect(await reading).toEqual({ done: true, value: undefined });
  for (let tries = 0; tries < 100 && !isClosed; tries++) await Bun.sleep(1);
  expect([isClosed, answers.held()]).toEqual([true, 0]);
  // The turn goes on to the next answer.
  expect((await all(answers.stream(slow(), never))).length).toBe(300_001);
});

test("an unread answer asks for nothing, a slow one for no more than its piece", async () => {
  const answers = new Answers(() => 64 * MIB);
  const { state, iterator } = pieces(10, MIB);
  const reader = answers.stream(iterator, never).getReader();
  await Bun.sleep(20);
  expect([state.asked, answers.held()]).toEqual([0, 0]);
  await reader.read();
  await Bun.sleep(20);
  expect([state.asked, answers.held()]).toEqual([1, MIB]);
  await reader.cancel();
  expect([state.closed, answers.held()]).toEqual([true, 0]);
});

test("together they stay within the limit, and all come to their end", async () => {
  let most = 0;
  const answers = new Answers(() => 3 * MIB);
  const watch = setInterval(() => {
    most = Math.max(most, answers.held());
  }, 0);
  closers.push(() => clearInterval(watch));
  const read = await Promise.all(
    Array.from({ length: 12 }, async () => {
      const stream = answers.stream(pieces(4, MIB).iterator, never);
      let bytes = 0;
      for await (const chunk of stream) {
        bytes += chunk.length;
        await Bun.sleep(0);
      }
      return bytes;
    }),
  );
  expect(read).toEqual(Array.from({ length: 12 }, () => 4 * MIB));
  expect(most).toBeLessThanOrEqual(4 * MIB);
});

test("an answer whose reader stopped is cut off when another waits, and only then", async () => {
  let now = 0;
  const cut: number[] = [];
  const answers = new Answers(
    () => MIB,
    (bytes) => cut.push(bytes),
    () => now,
  );
  const stopped = answers.stream(pieces(3, MIB).iterator, never).getReader();
  await stopped.read();
  now = 60_000;
  await Bun.sleep(300);
  expect(cut).toEqual([]);
  const waiting = all(answers.stream(pieces(2, MIB).iterator, never));
  expect((await waiting).length).toBe(2 * MIB);
  expect(cut).toEqual([MIB]);
  expect(stopped.read()).rejects.toThrow("cut off");
});

test("the memory ceiling takes the answer whose reader has been away the longest", async () => {
  let now = 0;
  const answers = new Answers(
    () => 64 * MIB,
    () => {},
    () => now++,
  );
  const readers = await Promise.all(
    [1, 2].map(async () => {
      const reader = answers.stream(pieces(3, MIB).iterator, never).getReader();
      await reader.read();
      return reader;
    }),
  );
  expect(answers.held()).toBe(2 * MIB);
  expect(answers.giveUp()).toBe(MIB);
  expect(readers[0]?.read()).rejects.toThrow("cut off");
  expect((await readers[1]?.read())?.done).toBe(false);
});

test("an error in the pieces ends the answer as an error", async () => {
  const told: unknown[] = [];
  const answers = new Answers(() => MIB);
  function* failing(): Generator<string> {
    yield "a";
    throw new Error("stub");
  }
  const stream = answers.stream(failing(), (error) => told.push(error));
  expect(new Response(stream).text()).rejects.toThrow("stub");
  await Bun.sleep(10);
  expect(told).toHaveLength(1);
  expect(answers.held()).toBe(0);
});
