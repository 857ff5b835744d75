// Each writer is asked once at the end of a turn, after its promises, and before it when too much is held back.
import { expect, test } from "bun:test";
import { EndOfTurn } from "./end-of-turn.ts";

const MIB = 1024 * 1024;
const over = () => new Promise<void>((resolve) => setImmediate(() => setImmediate(resolve)));

function writers() {
  const failures: unknown[] = [];
  const turn = new EndOfTurn((error) => failures.push(error));
  const flushed: string[] = [];
  return { turn, failures, flushed, writer: (name: string) => ({ flush: () => void flushed.push(name) }) };
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

test("the end of a turn comes after the promises that it settled", async () => {
  const { turn, flushed, writer } = writers();
  const steps: string[] = [];
  turn.add(writer("a"));
  const settled = (async () => {
    for (let hop = 0; hop < 10; hop++) await undefined;
    steps.push(`settled with ${flushed.length} written`);
  })();
  await Promise.all([settled, over()]);
  expect(steps).toEqual(["settled with 0 written"]);
  expect(flushed).toEqual(["a"]);
});

test("who asks for the end gets it at once, and nobody is asked again", async () => {
  const { turn, flushed, writer } = writers();
  turn.add(writer("a"));
  turn.grew(10);
  expect(turn.heldBytes).toBe(10);
  turn.flush();
  expect({ flushed, held: turn.heldBytes }).toEqual({ flushed: ["a"], held: 0 });
  await over();
  expect(flushed).toEqual(["a"]);
});

test("a writer that fails costs no other its frames", async () => {
  const { turn, failures, flushed, writer } = writers();
  const error = new Error("gone");
  turn.add(writer("a"));
  turn.add({
    flush: () => {
      throw error;
    },
  });
  turn.add(writer("b"));
  await over();
  expect({ flushed, failures }).toEqual({ flushed: ["a", "b"], failures: [error] });
});
