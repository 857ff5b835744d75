// Backups that were made while the clock was a year ahead, and a clock that is a year behind: the schedule goes on, no good backup is
// lost, and the doctor says what is wrong.
import { afterAll, expect } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { listBackups } from "../../src/backup/folder.ts";
import type { ServerProcess } from "../faults/server-process.ts";
import { clockTest, fakeClock, startWithClock, YEAR_MS } from "../support/fake-clock.ts";
import { runRoost } from "../support/process.ts";
import { until } from "../support/until.ts";

const home = mkdtempSync(join(tmpdir(), "roost-dated-"));
const [dataDir, backupDir] = [join(home, "data"), join(home, "backups")];
const servers: ServerProcess[] = [];
afterAll(async () => {
  for (const server of servers) await server.end("SIGKILL");
  rmSync(home, { recursive: true, force: true });
});

clockTest.concurrent(
  "a backup from the future stops no backup, pushes none out, and is a failure for the doctor",
  async () => {
    using clock = fakeClock();
    /** Starts, waits until so many backups are there, and stops. @returns their files. */
    const live = async (count: number) => {
      const env = {
        ROOST_BACKUP_DIR: backupDir,
        ROOST_BACKUP_KEEP_DAILY: "1",
        ROOST_BACKUP_KEEP_WEEKLY: "0",
      };
      const server = await startWithClock({ dataDir, env }, clock);
      servers.push(server);
      const made = () => listBackups(backupDir);
      await until(`${count} backups`, () => made().length >= count, 60_000);
      expect(server.logged(40)).toEqual([]);
      await server.end("SIGTERM");
      return made().map(({ file, drill }) => [file, drill.ok]);
    };
    clock.move(YEAR_MS);
    const [ahead = []] = await live(1);
    clock.move(-YEAR_MS);
    const both = await live(2);
    expect(both).toContainEqual(ahead);
    expect(both.every(([, isGood]) => isGood)).toBe(true);
    // All that is there is from the future now, and stays.
    clock.move(-YEAR_MS);
    const three = await live(3);
    for (const one of both) expect(three).toContainEqual(one);
    clock.move(YEAR_MS);
    const words = ["doctor", "--data-dir", dataDir, "--backup-dir", backupDir];
    const { code, stdout: said } = await runRoost(words, { env: clock.env });
    expect([code, said]).toEqual([
      1,
      expect.stringMatching(/FAILURE.*backups +A backup is dated in the future/),
    ]);
    expect(said).not.toContain("-8760");
  },
);
