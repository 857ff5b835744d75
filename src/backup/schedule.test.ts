// Holds the schedule to: when a backup is due, also after a time when the server was off.
import { expect, test } from "bun:test";
import { dueAt } from "./schedule.ts";

const HOUR = 3_600_000;
const local = (day: number, hours: number, minutes = 0) => new Date(2026, 5, day, hours, minutes).getTime();

const cases: readonly [string, number | undefined, number, string | undefined, number][] = [
  ["the first is due at once", undefined, local(10, 12), undefined, local(10, 12)],
  ["the next is due after the interval", local(10, 12), local(10, 13), undefined, local(10, 18)],
  ["one that was missed is due at once", local(1, 12), local(10, 13), undefined, local(1, 18)],
  ["with a time of day, the first is due at once", undefined, local(10, 12), "03:30", local(10, 12)],
  ["made today: due tomorrow", local(10, 3, 31), local(10, 12), "03:30", local(11, 3, 30)],
  [
    "made yesterday, before today's time: due today",
    local(9, 3, 31),
    local(10, 2),
    "03:30",
    local(10, 3, 30),
  ],
  [
    "made yesterday, after today's time: due at once",
    local(9, 3, 31),
    local(10, 3, 32),
    "03:30",
    local(10, 3, 32),
  ],
];

for (const [name, last, now, at, due] of cases)
  test(name, () => {
    expect(dueAt(last, now, { everyMs: 6 * HOUR, at })).toBe(due);
  });
