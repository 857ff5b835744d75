// Holds the retention of backups to its promise: newest of each day and week, and a bad one never costs a good one.
import { expect, test } from "bun:test";
import { superseded } from "./keep.ts";

/** Thursday, 1 January 2026, noon UTC, and days before it. */
const at = (daysAgo: number, hour = 12) => Date.UTC(2026, 0, 1 - daysAgo, hour);
const backup = (file: string, createdAt: number, ok = true) => ({ file, createdAt, drill: { ok } });
const kept = (
  backups: ReturnType<typeof backup>[],
  keep: { daily: number; weekly: number },
  now = at(0, 23),
) => {
  const gone = superseded(backups, keep, now);
  return backups.map(({ file }) => file).filter((file) => !gone.includes(file));
};

test("the newest of each of the last days that have one stay, and of each of the last weeks", () => {
  const daily = Array.from({ length: 60 }, (_, days) => backup(`d${days}`, at(days)));
  // Weeks begin on Monday: d3 is a Monday, so d4 is the newest of the week before.
  expect(kept(daily, { daily: 7, weekly: 4 })).toEqual([
    "d0",
    "d1",
    "d2",
    "d3",
    "d4",
    "d5",
    "d6",
    "d11",
    "d18",
  ]);
});

test("several on one day leave the newest of it", () => {
  const backups = [backup("noon", at(0, 12)), backup("evening", at(0, 20)), backup("yesterday", at(1, 23))];
  expect(kept(backups, { daily: 7, weekly: 0 })).toEqual(["evening", "yesterday"]);
});

test("places count days that have a backup, not days that have passed", () => {
  const backups = [backup("a", at(100)), backup("b", at(200)), backup("c", at(300))];
  expect(kept(backups, { daily: 2, weekly: 0 })).toEqual(["a", "b"]);
});

test("a backup that failed its drill fills no place, and goes once a newer good one is there", () => {
  const older = [backup("bad", at(0), false), backup("good", at(1)), backup("old-bad", at(2), false)];
  expect(kept(older, { daily: 1, weekly: 0 })).toEqual(["bad", "good"]);
});

test("the newest good one stays whatever the settings say", () => {
  expect(kept([backup("only", at(500)), backup("older", at(501))], { daily: 0, weekly: 0 })).toEqual([
    "only",
  ]);
});

test("backups from the future fill no place, push nothing out, and stay", () => {
  const ahead = Array.from({ length: 9 }, (_, days) => backup(`ahead${days}`, at(-365 - days)));
  const right = [backup("today", at(0)), backup("yesterday", at(1)), backup("before", at(2))];
  expect(kept([...ahead, ...right], { daily: 2, weekly: 0 })).toEqual([
    ...ahead.map(({ file }) => file),
    "today",
    "yesterday",
  ]);
});

test("a clock that is years behind deletes none of the backups that are there", () => {
  const there = Array.from({ length: 20 }, (_, days) => backup(`d${days}`, at(days)));
  const wrong = backup("wrong", Date.UTC(2000, 0, 1));
  expect(kept([...there, wrong], { daily: 1, weekly: 0 }, Date.UTC(2000, 0, 1, 1))).toEqual([
    ...there.map(({ file }) => file),
    "wrong",
  ]);
});

test("a clock that is years ahead lets go of one backup at a time, never of the newest good ones", () => {
  const there = Array.from({ length: 7 }, (_, days) => backup(`d${days}`, at(days)));
  const wrong = backup("wrong", at(-365));
  const left = ["d0", "d1", "d2", "d3", "d4", "d5", "wrong"];
  expect(kept([...there, wrong], { daily: 7, weekly: 0 }, at(-365, 23))).toEqual(left);
});
