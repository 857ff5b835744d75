// Ids sort by when they were made, whatever the clock does meanwhile or while no server runs.
import { expect, test } from "bun:test";
import { continueAfter, newId } from "./ids.ts";

const DAY = 86_400_000;
const timeOf = (id: string) => Number.parseInt(id.slice(1, 9), 36);

function inOrder(ids: readonly string[]): void {
  expect(ids).toEqual([...ids].sort());
  expect(new Set(ids).size).toBe(ids.length);
}

test("in order while the clock stands, steps back 2 s, a day, a year, and goes on again", () => {
  const start = Date.now();
  const clock = [0, 0, -2_000, -DAY, -365 * DAY, -365 * DAY + 1, 1, 2, DAY, 0, DAY + 1];
  inOrder(clock.map((offset) => newId(start + offset)));
});

test("after the newest one of a database that a clock ahead by a day, or a year, has written", () => {
  for (const ahead of [DAY, 365 * DAY]) {
    const stored = `c${(Date.now() + ahead).toString(36).padStart(8, "0")}zzzz${"z".repeat(12)}`;
    continueAfter(stored);
    inOrder([stored, newId(), newId(Date.now() - DAY), newId()]);
  }
});

test.each([
  undefined,
  null,
  "",
  "nothing",
  "czzzzzzzz0000000000000000",
  `c${"z".repeat(25)}`,
  `C${"0".repeat(24)}`,
])("%p says nothing about time", (id) => {
  const before = newId();
  continueAfter(id);
  const after = newId();
  expect(timeOf(after) - timeOf(before)).toBeLessThan(60_000);
  inOrder([before, after]);
});

test("keep their width and order past the year 2059", () => {
  const before = newId();
  const late = [newId(36 ** 8), newId(36 ** 8 + 5), newId(Number.MAX_SAFE_INTEGER), newId()];
  inOrder([before, ...late]);
  for (const id of late) expect(id).toHaveLength(25);
});
