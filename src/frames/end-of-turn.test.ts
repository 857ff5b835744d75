// Each writer is asked once at the end of a turn, and before it when too much is held back.
import { expect, test } from "bun:test";
import { EndOfTurn } from "./end-of-turn.ts";

const MIB = 1024 * 1024;
const over = () => new Promise<void>((resolve) => setImmediate(() => setImmediate(resolve)));

function writers() {
  const turn = new EndOfTurn();
  const flushed: string[] = [];
  return { turn, flushed, writer: (name: string) => ({ flush: () => void flushed.push(name) }) };
}

test("writers are asked at the end of the turn, in the order in which they got something", async () => {
  const { turn, flushed, writer } = writers();
  turn.add(writer("a"));
  turn.add(writer("b"));
  turn.grew(10);
  expect(flushed).toEqual([]);
  await over();
  expect(flushed).toEqual(["a", "b"]);
  turn.add(writer("c"));
  await over();
  expect(flushed).toEqual(["a", "b", "c"]);
});

test("more than 16 MiB is not held back for the end, and what comes then is counted anew", async () => {
  const { turn, flushed, writer } = writers();
  turn.add(writer("a"));
  turn.grew(10 * MIB);
  expect(flushed).toEqual([]);
  turn.grew(7 * MIB);
  expect(flushed).toEqual(["a"]);
  turn.add(writer("b"));
  turn.grew(10 * MIB);
  expect(flushed).toEqual(["a"]);
  await over();
  expect(flushed).toEqual(["a", "b"]);
});
