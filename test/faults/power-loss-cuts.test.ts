// The power is cut. Files are rebuilt from a recording of the real server as they could be afterwards, with what was not synced left
// out, halved or torn: the folder opens, every database is sound, and everything is there that was acknowledged or announced.
import { afterAll, expect } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { rounds } from "../support/full.ts";
import { type Acknowledged, acknowledgements } from "./power-loss/acknowledged.ts";
import { syncsByKind, withoutCommitSyncs } from "./power-loss/control.ts";
import { Disk, FATES, type Fate } from "./power-loss/disk.ts";
import { problemsOf, problemsOfServer } from "./power-loss/image.ts";
import { powerTest, Recording } from "./power-loss/recording.ts";
import { STORE_ENV, STORES, type World } from "./power-loss/stores.ts";
import type { SystemCall } from "./power-loss/system-calls.ts";
import { workInAllStores } from "./power-loss/work.ts";
import { type Random, seeded } from "./random.ts";
import type { ServerProcess } from "./server-process.ts";

const CUTS = rounds(60, 1_000);
/** Of these images, so many are also served by a real server. */
const SERVED = Math.ceil(CUTS / 15);
const EACH = 16;
const BOUND_MS = 60_000 + CUTS * 6_000;

const folder = mkdtempSync(join(tmpdir(), "roost-cuts-"));
const recording = new Recording();
afterAll(() => {
  recording[Symbol.dispose]();
  rmSync(folder, { recursive: true, force: true });
});

interface Cut {
  readonly at: number;
  readonly fate: Fate;
}

/** Right after an acknowledgement has left, while a sync of each kind is under way or just over, and anywhere. */
function chooseCuts(calls: readonly SystemCall[], told: readonly Acknowledged[], random: Random): Cut[] {
  const kinds = [...syncsByKind(calls).values()];
  const last = calls.at(-1)?.began ?? 0;
  return Array.from({ length: CUTS }, (_, index) => {
    const sync = random.pick(kinds[Math.floor(index / 3) % kinds.length] ?? []);
    const places = [random.pick(told).at + 1, random.whole(sync.began, sync.over + 1), random.whole(1, last)];
    const fate = FATES[Math.floor(index / places.length) % FATES.length] ?? "gone";
    return { at: places[index % places.length] ?? last, fate };
  });
}

powerTest(
  "no cut of the power takes back what was acknowledged",
  async () => {
    const random = seeded("power-loss-cuts");
    let world: World | undefined;
    const live = (from: number, signal: "SIGTERM" | "SIGKILL") => {
      const counts = new Map(STORES.map((store) => [store, { from, to: from + EACH }]));
      const work = async (server: ServerProcess) => {
        world = await workInAllStores(server, recording.dataDir, counts, world);
      };
      return recording.run(STORE_ENV, work, signal);
    };
    await live(0, "SIGTERM");
    await live(EACH, "SIGKILL");
    const { calls, dataDir } = recording;
    const disk = new Disk(dataDir, calls);
    // Nothing was missed: what was replayed is what is there. The index of a log is mapped memory, and is made anew at each start.
    const replayed = [...disk.files()].filter(({ path }) => !path.endsWith("-shm"));
    for (const { path, content } of replayed)
      expect({ path, same: readFileSync(join(dataDir, path)).equals(content) }).toEqual({ path, same: true });
    const told = acknowledgements(calls, new Map(STORES.map((store) => [store, 2 * EACH])));
    const firstTold = Math.min(...told.map(({ at }) => at));
    const moved = calls.filter(
      ({ name, target, began }) =>
        /write/.test(name) && target === join(dataDir, "happy.db") && began > firstTold,
    );
    // Checkpoints went on meanwhile, so that cuts fall into them too.
    expect(moved.length).toBeGreaterThan(1_000);
    expect([...syncsByKind(calls).keys()].sort()).toEqual(["commit", "database", "log", "other"]);
    const cuts = chooseCuts(calls, told, random);
    const problems: string[] = [];
    for (const [index, { at, fate }] of cuts.entries()) {
      const image = join(folder, `${index}`);
      disk.image(at, random, fate, image);
      const before = told.filter((one) => one.at < at);
      const found: string[] = [];
      if (index % Math.ceil(CUTS / SERVED) === 0 && world !== undefined)
        found.push(...(await problemsOfServer(image, before, world)));
      found.push(...problemsOf(image, before));
      problems.push(...found.map((problem) => `cut at ${at}, unsynced ${fate}: ${problem}`));
      rmSync(image, { recursive: true });
    }
    expect(problems).toEqual([]);

    // The instrument: without the syncs of the commits, most cuts lose something.
    const control = new Disk(dataDir, withoutCommitSyncs(calls));
    let losing = 0;
    for (const { at, fate } of cuts) {
      const image = join(folder, "control");
      control.image(at, random, fate, image);
      if (
        problemsOf(
          image,
          told.filter((one) => one.at < at),
        ).length > 0
      )
        losing++;
      rmSync(image, { recursive: true });
    }
    console.error(
      `power-loss-cuts: 0 of ${CUTS} cuts lost anything; without syncs at commits, ${losing} did`,
    );
    expect(losing).toBeGreaterThan(CUTS / 3);
  },
  BOUND_MS,
);
