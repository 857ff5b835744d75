// Holds the bar to: nothing where nobody watches, never beyond its end, gone when the work is done.
import { expect, test } from "bun:test";
import { inWords, progressOn } from "./progress.ts";

const screen = (isTTY: boolean) => {
  const drawn: string[] = [];
  return { drawn, isTTY, write: (text: string) => drawn.push(text) };
};

test("nothing is written when nobody watches", () => {
  const file = screen(false);
  const progress = progressOn(file);
  progress.begin("restoring", 100);
  progress.advance(100);
  progress.end();
  expect([progress.isWatched, file.drawn]).toEqual([false, []]);
});

test("a person sees what is done, ten times a second at most, and a clean line at the end", () => {
  const terminal = screen(true);
  let now = 0;
  const progress = progressOn(terminal, () => now);
  progress.begin("restoring", 2_000_000);
  progress.advance(500_000);
  now = 100;
  progress.advance(500_000);
  now = 200;
  progress.advance(9_000_000);
  progress.end();
  const clear = "\r\u001b[K";
  expect(terminal.drawn).toEqual([
    `${clear}restoring [${".".repeat(30)}] 0 %, 0 bytes`,
    `${clear}restoring [${"#".repeat(15)}${".".repeat(15)}] 50 %, 1.0 MB`,
    `${clear}restoring [${"#".repeat(30)}] 100 %, 10.0 MB`,
    clear,
  ]);
});

test("sizes in words", () => {
  expect([0, 999, 1000, 1_550_000, 2e15].map(inWords)).toEqual([
    "0 bytes",
    "999 bytes",
    "1.0 kB",
    "1.6 MB",
    "2000.0 TB",
  ]);
});
