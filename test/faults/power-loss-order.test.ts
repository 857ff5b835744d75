// Durable before it is told: whatever a client is told, or hears of, was in a file, and that file was synced and the sync had come back,
// before the first byte of it went to any socket. Read from what the process really asked of the system.
import { afterAll, expect } from "bun:test";
import { rounds } from "../support/full.ts";
import { type Acknowledged, acknowledgements } from "./power-loss/acknowledged.ts";
import { withoutCommitSyncs } from "./power-loss/control.ts";
import { Disk } from "./power-loss/disk.ts";
import { powerTest, Recording } from "./power-loss/recording.ts";
import { STORE_ENV, STORES } from "./power-loss/stores.ts";
import { workInAllStores } from "./power-loss/work.ts";

const EACH = rounds(10, 200);
const BOUND_MS = EACH * 15_000;

const recording = new Recording();
afterAll(() => recording[Symbol.dispose]());

/** Sentences, one for each thing that was told too early. */
function toldTooEarly(disk: Disk, acknowledged: readonly Acknowledged[]): string[] {
  return acknowledged.flatMap(({ store, mark, at }) => {
    const onDisk = store.onDisk === undefined ? mark : store.onDisk(mark);
    if (onDisk === undefined) return [];
    const durableFrom = disk.durableFrom(Buffer.from(onDisk));
    return durableFrom < at ? [] : [`${store.name}: ${mark} was told at ${at} and durable at ${durableFrom}`];
  });
}

powerTest(
  "nothing is acknowledged or announced before it is written and synced",
  async () => {
    const counts = new Map(STORES.map((store) => [store, { from: 0, to: EACH }]));
    await recording.run(
      STORE_ENV,
      async (server) => void (await workInAllStores(server, recording.dataDir, counts)),
      "SIGTERM",
    );
    const acknowledged = acknowledgements(recording.calls, new Map(STORES.map((store) => [store, EACH])));
    expect(acknowledged).toHaveLength(EACH * STORES.length);
    expect(toldTooEarly(new Disk(recording.dataDir, recording.calls), acknowledged)).toEqual([]);

    // The instrument: the same recording without the syncs of its commits.
    const control = new Disk(recording.dataDir, withoutCommitSyncs(recording.calls));
    const early = toldTooEarly(control, acknowledged).length;
    expect(early).toBeGreaterThan(acknowledged.length / 2);
  },
  BOUND_MS,
);
