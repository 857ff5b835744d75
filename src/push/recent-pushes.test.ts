// How long the same event counts as the same, and what is remembered of one owner.
import { afterEach, beforeEach, expect, jest, test } from "bun:test";
import type { PushDecision } from "./decision.ts";
import { eventKey, RecentPushes, SAME_EVENT_MS } from "./recent-pushes.ts";

const SENT: PushDecision = { outcome: "sent", devices: 1, delivered: 1 };
const FAILED: PushDecision = { outcome: "failed", devices: 1, delivered: 0 };
const turn = async () => {
  for (let n = 0; n < 5; n++) await Promise.resolve();
};

beforeEach(() => void jest.useFakeTimers());
afterEach(() => void jest.useRealTimers());

test("a key is the same for the same parts, whatever they look like side by side", () => {
  expect(eventKey(["a", { n: 1 }])).toBe(eventKey(["a", { n: 1 }]));
  const keys = [["a", "b"], ['a","b'], ["ab"], ["a", ["b"]], ["b", "a"], ["a", "b", {}]].map(eventKey);
  expect(new Set(keys).size).toBe(keys.length);
});

test("an event is known while it is under way, and for ten seconds from its beginning once it was delivered", async () => {
  const recent = new RecentPushes();
  const { promise, resolve } = Promise.withResolvers<PushDecision>();
  recent.add("me", "e", promise);
  expect(recent.find("me", "e")).toBe(promise);
  expect([recent.underWay("me"), recent.underWay("you")]).toEqual([1, 0]);
  expect(recent.find("me", "f")).toBeUndefined();
  expect(recent.find("you", "e")).toBeUndefined();
  jest.advanceTimersByTime(6_000);
  resolve(SENT);
  await turn();
  expect(recent.underWay("me")).toBe(0);
  jest.advanceTimersByTime(3_999);
  expect(recent.find("me", "e")).toBe(promise);
  jest.advanceTimersByTime(2);
  expect(recent.find("me", "e")).toBeUndefined();
});

test("one that took longer than that is a new event when it ends", async () => {
  const recent = new RecentPushes();
  const { promise, resolve } = Promise.withResolvers<PushDecision>();
  recent.add("me", "e", promise);
  jest.advanceTimersByTime(SAME_EVENT_MS);
  expect(recent.find("me", "e")).toBe(promise);
  resolve(SENT);
  await turn();
  expect(recent.find("me", "e")).toBeUndefined();
});

test("one that reached no device, or broke, may be tried again at once", async () => {
  const recent = new RecentPushes();
  recent.add("me", "e", Promise.resolve(FAILED));
  recent.add("me", "f", Promise.reject(new Error("broken")));
  await turn();
  expect(recent.find("me", "e")).toBeUndefined();
  expect(recent.find("me", "f")).toBeUndefined();
  expect(recent.underWay("me")).toBe(0);
});

test("what is remembered of one owner has a bound that spares what is under way, and is forgotten with a stop", async () => {
  const recent = new RecentPushes();
  const running = new Promise<PushDecision>(() => {});
  recent.add("me", "running", running);
  for (let n = 0; n < 150; n++) recent.add("me", `${n}`, Promise.resolve(SENT));
  recent.add("you", "mine", Promise.resolve(SENT));
  await turn();
  const known = Array.from({ length: 150 }, (_, n) => n).filter(
    (n) => recent.find("me", `${n}`) !== undefined,
  );
  expect([known.length, known[0], known.at(-1)]).toEqual([100, 50, 149]);
  expect(recent.find("me", "running")).toBe(running);
  expect(recent.find("you", "mine")).toBeDefined();
  recent.clear();
  expect(recent.find("me", "149")).toBeUndefined();
  expect(jest.getTimerCount()).toBe(0);
});
