// The list of keys that wait is bounded, and no network can push the keys of another out of it; refused keys are not in it.
import { afterEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sql } from "drizzle-orm";
import { createLog } from "../../observability/log.ts";
import { type Database, openDatabase } from "../../storage/database.ts";
import { fingerprintOf } from "../admission/fingerprint.ts";
import { migrations } from "./migrations.ts";
import { listWaiting, noteWaiting, refuseKey } from "./waiting-keys.ts";

const opened: Database[] = [];
const folders: string[] = [];
afterEach(async () => {
  for (const database of opened.splice(0)) await database.close();
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

function open(): Database {
  const folder = mkdtempSync(join(tmpdir(), "roost-waiting-"));
  folders.push(folder);
  const database = openDatabase({ path: join(folder, "happy.db"), migrations, log: createLog("silent") });
  opened.push(database);
  return database;
}

const keyOf = (name: string) => Buffer.from(name.padEnd(32)).toString("hex").toUpperCase();
const NOW = Date.now();

/** They sign in one after the other, a millisecond apart. */
function sighted(database: Database, keys: number, networkOf: (n: number) => string, name = "x") {
  return database.writer.run((db) => {
    for (let n = 0; n < keys; n++)
      noteWaiting(db, { publicKey: keyOf(`${name}${n}`), client: "", network: networkOf(n), now: NOW + n });
  });
}

const counts = ({ reads }: Database) =>
  reads.all<{ network: string; n: number }>(
    sql`SELECT network, count(*) AS n FROM waiting_keys GROUP BY network ORDER BY n, network`,
  );
const waits = async (database: Database, name: string) =>
  (await listWaiting(database)).some(({ fingerprint }) => fingerprint === fingerprintOf(keyOf(name)));

test("of one network keep to its share, the newest of them, and those of others stay", async () => {
  const database = open();
  await sighted(database, 3, () => "198.51.100.7", "honest");
  await sighted(database, 3_000, () => "2001:db8:1:2");
  expect(counts(database)).toEqual([
    { network: "198.51.100.7", n: 3 },
    { network: "2001:db8:1:2", n: 1_500 },
  ]);
  expect([
    await waits(database, "honest0"),
    await waits(database, "x2999"),
    await waits(database, "x1499"),
  ]).toEqual([true, true, false]);
});

test("of many networks give way where there are most, so that a lone one stays", async () => {
  const database = open();
  await sighted(database, 1, () => "198.51.100.7", "honest");
  await sighted(database, 2_500, (n) => `network ${n % 500}`);
  expect(await listWaiting(database)).toHaveLength(2_000);
  expect(await waits(database, "honest0")).toBe(true);
});

test("with times of a clock that was a year ahead neither stay for ever nor keep a key from being noted again", async () => {
  const database = open();
  const note = (now: number, client: string) =>
    database.writer.run((db) => noteWaiting(db, { publicKey: keyOf("early"), client, network: "n", now }));
  await note(NOW + 365 * 86_400_000, "before");
  await note(NOW, "after");
  expect(await listWaiting(database)).toMatchObject([{ client: "after", lastSeenAt: NOW }]);
});

test("a key that is refused is kept apart, whatever comes after it", async () => {
  const database = open();
  await sighted(database, 1, () => "n", "unwanted");
  expect(await refuseKey(database, fingerprintOf(keyOf("unwanted0")))).toBe(true);
  await sighted(database, 2_500, () => "n");
  const refused = (await listWaiting(database)).filter(({ refusedAt }) => refusedAt !== null);
  expect(refused.map(({ fingerprint }) => fingerprint)).toEqual([fingerprintOf(keyOf("unwanted0"))]);
  expect(await refuseKey(database, "AAAA-AAAA-AAAA")).toBe(false);
});
