// A window admits so many calls of one key, then says how long to wait, and forgets.
import { expect, test } from "bun:test";
import { FixedWindow } from "./fixed-window.ts";

test("each key has its own window, which ends", () => {
  let now = 1_000;
  const window = new FixedWindow(2, 60_000, () => now);
  const calls = (key: string, count: number) => Array.from({ length: count }, () => window.exceeded(key));
  expect(calls("a", 2)).toEqual([undefined, undefined]);
  now += 20_000;
  expect(calls("a", 2)).toEqual([40_000, 40_000]);
  expect(calls("b", 2)).toEqual([undefined, undefined]);
  now += 40_000;
  expect(calls("a", 3)).toEqual([undefined, undefined, 60_000]);
});

test("ended windows are forgotten, so that a million callers leave no trace", () => {
  let now = 0;
  const window = new FixedWindow(1, 60_000, () => now);
  for (let key = 0; key < 5_000; key++) window.exceeded(`first ${key}`);
  expect(window.size).toBe(5_000);
  now += 60_000;
  window.exceeded("later");
  expect(window.size).toBe(1);
});

test("of too many keys at once those that began first are forgotten, and a key may have a limit of its own", () => {
  const window = new FixedWindow(1, 60_000, () => 0);
  for (let key = 0; key < 20_100; key++) window.exceeded(String(key));
  expect(window.size).toBe(20_000);
  expect([window.exceeded("0"), window.exceeded("20099")]).toEqual([undefined, 60_000]);
  expect([window.exceeded("wide", 2), window.exceeded("wide", 2), window.exceeded("wide", 2)]).toEqual([
    undefined,
    undefined,
    60_000,
  ]);
});

test("a call that is given back does not count, and one that never came cannot be", () => {
  let now = 0;
  const window = new FixedWindow(2, 60, () => now);
  window.refund("a");
  for (let call = 0; call < 5; call++) {
    expect(window.exceeded("a")).toBeUndefined();
    window.refund("a");
  }
  expect([window.exceeded("a"), window.exceeded("a"), window.exceeded("a")]).toEqual([
    undefined,
    undefined,
    60,
  ]);
  now = 60;
  expect(window.exceeded("a")).toBeUndefined();
});
