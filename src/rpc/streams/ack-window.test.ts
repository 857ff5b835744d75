// The window of acknowledgements: how far ahead, who wakes whom, and what is kept.
import { expect, test } from "bun:test";
import { AckWindow } from "./ack-window.ts";

const HOUR = 3_600_000;

test("a window of 0 is never full and keeps nothing", async () => {
  const window = new AckWindow(0, 1);
  for (let sequence = 1; sequence <= 1_000; sequence++) window.sent(sequence);
  expect([window.isFull, await window.room()]).toEqual([false, true]);
  window.ack(7);
  expect(window.acked).toBe(7);
});

test("counts data frames, whatever numbers lie between them", async () => {
  const window = new AckWindow(2, HOUR);
  window.sent(1);
  expect(window.isFull).toBe(false);
  window.sent(9);
  expect(window.isFull).toBe(true);
  // Of heartbeats only: nothing that the window counts.
  window.ack(1);
  expect(window.isFull).toBe(false);
  window.sent(12);
  window.ack(8);
  expect([window.isFull, window.acked]).toEqual([true, 8]);
  const room = window.room();
  window.ack(9);
  expect(await room).toBe(true);
});

test("an older acknowledgement changes nothing", () => {
  const window = new AckWindow(2, HOUR);
  window.sent(1);
  window.sent(2);
  window.ack(2);
  window.ack(1);
  expect(window.acked).toBe(2);
});

test("waits so long for an acknowledgement; one that makes no room begins the time anew", async () => {
  const window = new AckWindow(1, 200);
  window.sent(5);
  const begun = performance.now();
  const room = window.room();
  await Bun.sleep(120);
  window.ack(3);
  expect(await room).toBe(false);
  expect(performance.now() - begun).toBeGreaterThanOrEqual(310);
});

test("a stream that is over waits for nobody", async () => {
  const window = new AckWindow(1, HOUR);
  window.sent(1);
  const room = window.room();
  window.close();
  expect(await room).toBe(true);
});

test("a long stream keeps as many numbers as the window is large", () => {
  const window = new AckWindow(100, HOUR);
  for (let sequence = 1; sequence <= 100_000; sequence++) {
    window.sent(sequence);
    if (window.isFull) window.ack(sequence - 50);
  }
  expect([window.isFull, window.acked]).toEqual([false, 99_950]);
});
