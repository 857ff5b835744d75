// Holds the sweep of files to the clocks of those who own files: another protocol's doubt is its own matter.
import { afterEach, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createLog } from "../observability/log.ts";
import { Program } from "../protocol/program.ts";
import { Quota } from "../storage/quota.ts";
import { RetentionClock } from "./clock.ts";
import { Maintenance } from "./maintenance.ts";
import type { Retention } from "./retention.ts";

const DAY_MS = 86_400_000;
const log = createLog("silent");

const undo: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of undo.splice(0).toReversed()) await step();
});

/** Whether the first round removed an orphan, with the days since the moment that each protocol knows. */
async function sweeps(ownerDays: number, otherDays: number): Promise<boolean> {
  const dataDir = mkdtempSync(join(tmpdir(), "roost-maintenance-"));
  undo.push(() => rmSync(dataDir, { recursive: true, force: true }));
  const orphan = join(dataDir, "files/things/gone/a");
  mkdirSync(join(orphan, ".."), { recursive: true });
  writeFileSync(orphan, "a");
  const old = new Date(Date.now() - DAY_MS);
  utimesSync(orphan, old, old);
  const retention: Retention = {
    kinds: [],
    shortestMs: () => Number.POSITIVE_INFINITY,
    newest: async () => undefined,
    plan: async () => [],
    run: async () => ({}),
  };
  const known = { owner: Date.now() - ownerDays * DAY_MS, other: Date.now() - otherDays * DAY_MS };
  writeFileSync(join(dataDir, "retention-clock.json"), JSON.stringify(known));
  const clockOf = (name: string) => new RetentionClock({ dataDir, name, newest: retention.newest });
  const { config } = new Program([]).parse({ dataDir: { value: dataDir, source: "test" } });
  const maintenance = new Maintenance({ config, quota: new Quota(() => 0), log });
  const owners = {
    folder: "things",
    kind: "things",
    ownerOf: () => undefined,
    filesBefore: () => undefined,
  };
  const stop = maintenance.start({
    databases: [],
    retentions: [
      { retention, clock: clockOf("owner"), log, owners },
      { retention, clock: clockOf("other"), log },
    ],
  });
  undo.push(stop);
  // The first round comes 5 s after the start.
  for (let waited = 0; waited < 7_000 && existsSync(orphan); waited += 50) await Bun.sleep(50);
  return !existsSync(orphan);
}

test("files go by the clock of their owner, and by no other", async () => {
  expect(await Promise.all([sweeps(1, 40), sweeps(40, 1)])).toEqual([true, false]);
}, 20_000);
