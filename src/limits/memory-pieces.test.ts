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
