// Holds the schedule to: when a backup is due, also after a time when the server was off; a failure is told, and a stop ends it.
import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { parseConfig } from "../../test/support/config.ts";
import { until } from "../../test/support/until.ts";
import { BackupSchedule, dueAt } from "./schedule.ts";

const HOUR = 3_600_000;
const local = (day: number, hours: number, minutes = 0) => new Date(2026, 5, day, hours, minutes).getTime();

const cases: readonly [string, number | undefined, number, string | undefined, number][] = [
  ["the first is due at once", undefined, local(10, 12), undefined, local(10, 12)],
  ["the next is due after the interval", local(10, 12), local(10, 13), undefined, local(10, 18)],
  ["one that was missed is due at once", local(1, 12), local(10, 13), undefined, local(1, 18)],
  [
    "one from next year says nothing: due at once",
    local(10 + 365, 12),
    local(10, 13),
    undefined,
    local(10, 13),
  ],
  ["one from tomorrow says nothing", local(11, 12), local(10, 13), "03:30", local(10, 13)],
  ["one from a minute ahead was just made", local(10, 13, 1), local(10, 13), undefined, local(10, 19, 1)],
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

/** A schedule that runs this script instead of Roost, and what it logged. */
function scheduled(script: string) {
  const backupDir = mkdtempSync(join(tmpdir(), "roost-schedule-"));
  const logged: { problem?: string }[] = [];
  const log = pino({}, { write: (line: string) => logged.push(JSON.parse(line)) });
  const config = { ...parseConfig({}), backupDir, dataDir: "the data" };
  // Its words are arguments of the script.
  const schedule = new BackupSchedule(config, log, { command: [process.execPath, "-e", script, "--"] });
  return { backupDir, logged, schedule };
}

test("a backup that fails is told in the words of its process, which was told what it needs and no secret", async () => {
  const { backupDir, logged, schedule } = scheduled(
    'process.stderr.write("roost: " + process.argv.slice(1).join(" ")); process.exit(1)',
  );
  schedule.start();
  await until("a line in the log", () => logged.length > 0);
  await schedule.stop();
  rmSync(backupDir, { recursive: true, force: true });
  expect(logged.map(({ problem }) => problem?.replace(/^-- /, ""))).toEqual([
    `backup --data-dir=${join(process.cwd(), "the data")} --backup-dir=${backupDir} --backup-keep-daily=7 --backup-keep-weekly=4`,
  ]);
}, 30_000);

test("a stop ends a backup that is under way, without a word", async () => {
  const { backupDir, logged, schedule } = scheduled(
    'process.stderr.write("x"); require("fs").writeFileSync(process.argv.find((word) => word.startsWith("--backup-dir=")).slice(13) + "/" + process.pid, ""); setInterval(() => {}, 1000)',
  );
  schedule.start();
  const { readdirSync } = await import("node:fs");
  await until("a backup", () => readdirSync(backupDir).length > 0);
  const pid = Number(readdirSync(backupDir)[0]);
  await schedule.stop();
  rmSync(backupDir, { recursive: true, force: true });
  expect(() => process.kill(pid, 0)).toThrow();
  expect(logged).toEqual([]);
}, 30_000);
