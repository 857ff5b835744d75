// Messages that come too fast wait in order, in bounds, and none of those that were taken is lost.
import { expect, test } from "bun:test";
import { MemoryCeiling } from "./memory-ceiling.ts";
import { MessagePace, TooFast } from "./message-pace.ts";

function paced(perSecond: number, sizes: { maxAccountBytes?: number; maxBytes?: number } = {}) {
  const refused: string[] = [];
  const memory = new MemoryCeiling(() => 0);
  const pace = new MessagePace({
    perSecond: () => perSecond,
    bounds: { refused: (name) => refused.push(name) },
    memory,
    ...sizes,
  });
  const begun: string[] = [];
  const turn = (account: string, name: string, bytes = 1) =>
    pace.turn(account, bytes, async () => {
      begun.push(name);
    });
  return { pace, memory, refused, begun, turn };
}

const names = (count: number, prefix = "") => Array.from({ length: count }, (_, n) => `${prefix}${n}`);

test("a burst of ten seconds goes at once, the rest in order at the pace, other accounts are not held", async () => {
  const { pace, refused, begun, turn } = paced(20);
  const start = performance.now();
  const all = names(210).map((name) => turn("a", name));
  // One more for each 50 ms that this machine takes.
  expect(begun.length).toBeGreaterThanOrEqual(200);
  expect(begun.length).toBeLessThan(210);
  expect(pace.waiting).toBe(210 - begun.length);
  await turn("b", "other");
  expect(begun.at(-1)).toBe("other");
  await Promise.all(all);
  expect(performance.now() - start).toBeGreaterThan(450);
  expect(begun.filter((name) => name !== "other")).toEqual(names(210));
  expect([pace.waiting, refused]).toEqual([0, ["account-messages"]]);
});

test("what waits is bounded for one account and for all; what was taken is begun all the same", async () => {
  const { pace, begun, turn } = paced(1, { maxAccountBytes: 3_000, maxBytes: 5_000 });
  const all = names(15).map((name) =>
    turn("a", name, 100).then(
      () => "stored",
      (error) => error,
    ),
  );
  // Ten at once, four that wait, one too many.
  expect(await all[14]).toBeInstanceOf(TooFast);
  const others = names(15, "b").map((name) =>
    turn("b", name, 100).then(
      () => "stored",
      (error) => error,
    ),
  );
  expect(await others[14]).toBeInstanceOf(TooFast);
  expect(pace.waiting).toBe(8);
  pace.drain();
  expect(await Promise.all(all.slice(0, 14))).toEqual(Array(14).fill("stored"));
  expect(begun.filter((name) => !name.startsWith("b"))).toEqual(names(14));
});

test("a failure reaches who sent it, and the next one goes on", async () => {
  const { pace, begun, turn } = paced(100);
  await Promise.all(names(1_000).map((name) => turn("a", name)));
  const failing = pace.turn("a", 1, () => Promise.reject(new Error("disk")));
  const after = turn("a", "after");
  await expect(failing).rejects.toThrow("disk");
  await after;
  expect(begun.at(-1)).toBe("after");
});

test("when memory is short the account that holds the most has its turn", async () => {
  const { memory, begun, turn } = paced(1);
  const all = [...names(12, "a"), ...names(14, "b")].map((name) => turn(name.charAt(0), name, 10_000));
  expect(memory.heldBytes).toBe(6 * 10_512);
  expect(memory.relieve()).toBe(6 * 10_512);
  await Promise.all(all);
  expect(begun.slice(-6)).toEqual(["b10", "b11", "b12", "b13", "a10", "a11"]);
});

test("over HTTP a call hears how long to wait, a batch counts as many, 0 is no limit", () => {
  const { pace, refused } = paced(5);
  expect(pace.exceeded("a", 50)).toBeUndefined();
  expect(pace.exceeded("a", 1)).toBeGreaterThan(100);
  expect(pace.exceeded("b", 1)).toBeUndefined();
  expect(refused).toEqual(["account-messages"]);
  const free = paced(0);
  for (let n = 0; n < 1_000; n++) expect(free.pace.exceeded("a", 100)).toBeUndefined();
});
