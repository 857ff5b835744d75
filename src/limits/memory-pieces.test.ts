import { expect, test } from "bun:test";
import { MemoryCeiling } from "./memory-ceiling.ts";
import { MemoryPieces } from "./memory-pieces.ts";

test("what pieces hold is known as their sum, and nothing is left when they are gone", () => {
  const pieces = new MemoryPieces("queues", new MemoryCeiling(() => 1_000));
  const [a, b] = [{}, {}];
  pieces.set(a, 10, () => {});
  pieces.set(b, 20, () => {});
  pieces.set(a, 5, () => {});
  expect([pieces.held(), pieces.size]).toEqual([25, 2]);
  pieces.set(a, 0, () => {});
  pieces.forget(b);
  pieces.forget(b);
  expect([pieces.held(), pieces.size]).toEqual([0, 0]);
});

test("past the ceiling the largest piece of all is given up, once, and no more than needed", () => {
  const said: [string, number][] = [];
  const ceiling = new MemoryCeiling(
    () => 100,
    (part, bytes) => said.push([part, bytes]),
  );
  const queues = new MemoryPieces("queues", ceiling);
  const frames = new MemoryPieces("frames", ceiling);
  const given: string[] = [];
  const hold = (part: MemoryPieces, name: string, bytes: number) =>
    part.set({ name }, bytes, () => given.push(name));
  hold(queues, "small", 10);
  hold(queues, "large", 50);
  hold(frames, "frame", 30);
  expect(given).toEqual([]);
  hold(frames, "another", 20);
  expect(given).toEqual(["large"]);
  expect(ceiling.heldBytes).toBe(60);
  expect(said).toEqual([["queues", 50]]);
});

test("a piece that alone passes the ceiling is given up while it is told", () => {
  const pieces = new MemoryPieces("queues", new MemoryCeiling(() => 100));
  const given: number[] = [];
  pieces.set({}, 101, () => given.push(101));
  expect(given).toEqual([101]);
  expect(pieces.held()).toBe(0);
});

test("who takes nothing goes before the largest who is being served, in one part and between parts", () => {
  let now = 0;
  const clock = () => now;
  const ceiling = new MemoryCeiling(() => 200);
  const queues = new MemoryPieces("queues", ceiling, "falls", clock);
  const frames = new MemoryPieces("frames", ceiling, "grows", clock);
  const given: string[] = [];
  const upload = {};
  const hold = (part: MemoryPieces, owner: object, name: string, bytes: number) =>
    part.set(owner, bytes, () => given.push(name));
  hold(queues, {}, "stopped", 20);
  hold(queues, upload, "upload", 90);
  const [coming, stale] = [{}, {}];
  hold(frames, coming, "coming", 30);
  hold(frames, stale, "stale", 20);
  now += 2_500;
  hold(queues, upload, "upload", 80);
  hold(frames, coming, "coming", 40);
  hold(queues, {}, "new", 35);
  expect(given).toEqual([]);
  hold(queues, {}, "one more", 10);
  expect(given).toEqual(["stopped"]);
  hold(queues, {}, "and more", 30);
  expect(given).toEqual(["stopped", "stale"]);
});

test("where everybody came a moment ago, an active reader stays before those who have taken nothing yet", () => {
  let now = 0;
  const ceiling = new MemoryCeiling(() => 200);
  const queues = new MemoryPieces("queues", ceiling, "falls", () => now);
  const given: string[] = [];
  const upload = {};
  const hold = (owner: object, name: string, bytes: number) =>
    queues.set(owner, bytes, () => given.push(name));
  hold(upload, "upload", 80);
  for (const name of ["a", "b", "c"]) hold({}, name, 40);
  now += 500;
  hold(upload, "upload", 70);
  hold({}, "d", 11);
  expect(given).toEqual(["a"]);
});

test("an answer whose reader is away goes before the queue of a reader who takes", () => {
  let now = 0;
  const ceiling = new MemoryCeiling(() => 100);
  const queues = new MemoryPieces("queues", ceiling, "falls", () => now);
  const given: string[] = [];
  ceiling.join({
    name: "answers",
    held: () => (given.includes("answer") ? 0 : 40),
    next: () => (given.includes("answer") ? undefined : { bytes: 10, stillMs: now }),
    giveUp: () => {
      given.push("answer");
      return 40;
    },
  });
  const upload = {};
  queues.set(upload, 60, () => given.push("upload"));
  now += 3_000;
  queues.set(upload, 50, () => given.push("upload"));
  queues.set({}, 11, () => given.push("other"));
  expect(given).toEqual(["answer"]);
});
