// Old events go by age and by number, and what went is remembered (topics contract, section 12).
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eq } from "drizzle-orm";
import { createLog } from "../../observability/log.ts";
import type { Database } from "../../storage/database.ts";
import { topic } from "../topic.ts";
import { openTopicsDatabase } from "./database.ts";
import { EventLog, topicState } from "./events.ts";
import { countOldEvents, newestEventAt, pruneEvents } from "./retention.ts";
import { wsEvents } from "./schema.ts";

const DAY = 86_400_000;
const NOW = 1_800_000_000_000;
const named = (name: string, more = {}) =>
  topic({
    name,
    itemKey: "id",
    snapshot: () => ({ items: [], total: 0 }),
    project: () => undefined,
    ...more,
  });
const nodes = named("nodes");
const others = named("others");

let folder: string;
let database: Database;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "roost-retention-"));
  database = openTopicsDatabase(folder, createLog("silent"));
});
afterEach(async () => {
  await database.close();
  rmSync(folder, { recursive: true, force: true });
});

/** One event a letter, `n` of nodes and `o` of others, each an age in milliseconds. */
async function write(...ages: [string, number][]): Promise<void> {
  const log = new EventLog(database, () => {}, true);
  for (const [letter] of ages) {
    await log.change(letter === "n" ? nodes : others, (_db, publish) => publish("add", {}));
  }
  await database.writer.run((db) => {
    for (const [index, [, age]] of ages.entries()) {
      db.update(wsEvents)
        .set({ createdAt: NOW - age })
        .where(idIs(index + 1))
        .run();
    }
  });
}

const idIs = (id: number) => eq(wsEvents.id, id);
const ids = () =>
  database.reads
    .select({ id: wsEvents.id })
    .from(wsEvents)
    .all()
    .map(({ id }) => id);
const marks = () => [nodes, others].map(({ name }) => topicState(database.reads, name).prunedThroughId);

test("exactly the age is kept, a millisecond more is not", async () => {
  await write(["n", 7 * DAY + 1], ["o", 7 * DAY], ["n", 0]);
  expect(await pruneEvents(database, { days: 7, maxRows: 0 }, [], NOW)).toBe(1);
  expect([ids(), marks()]).toEqual([
    [2, 3],
    [1, 0],
  ]);
});

test("exactly the number is kept; above it the oldest go, whichever topic's they are", async () => {
  await write(["n", 3], ["o", 2], ["n", 1]);
  expect(await pruneEvents(database, { days: 0, maxRows: 3 }, [], NOW)).toBe(0);
  expect(await pruneEvents(database, { days: 0, maxRows: 1 }, [], NOW)).toBe(2);
  expect([ids(), marks()]).toEqual([[3], [1, 2]]);
});

test("gaps between ids are not counted as events", async () => {
  await write(["n", 3], ["n", 2], ["n", 1]);
  await database.writer.run((db) => db.delete(wsEvents).where(idIs(2)).run());
  expect(await pruneEvents(database, { days: 0, maxRows: 2 }, [], NOW)).toBe(0);
});

test("0 switches a limit off", async () => {
  await write(["n", 1_000 * DAY], ["n", 0]);
  expect(await pruneEvents(database, { days: 0, maxRows: 0 }, [], NOW)).toBe(0);
});

test("a topic with a retention of its own follows it alone", async () => {
  const own = [named("others", { retention: { days: 1, maxRows: 0 } })];
  await write(["n", 2 * DAY], ["o", 2 * DAY], ["n", 8 * DAY], ["o", 0]);
  expect(await pruneEvents(database, { days: 7, maxRows: 0 }, own, NOW)).toBe(2);
  expect([ids(), marks()]).toEqual([
    [1, 4],
    [3, 2],
  ]);
});

test("more than one batch goes, the state survives, and no id is given again", async () => {
  const log = new EventLog(database, () => {}, true);
  await log.change(nodes, (_db, publish) => {
    for (let index = 0; index < 12_000; index++) publish("add", {});
  });
  expect(await pruneEvents(database, { days: 0, maxRows: 1_000 }, [])).toBe(11_000);
  expect([ids().length, marks()]).toEqual([1_000, [11_000, 0]]);
  expect(await pruneEvents(database, { days: 1, maxRows: 0 }, [], Date.now() + 2 * DAY)).toBe(1_000);
  expect(topicState(database.reads, "nodes")).toMatchObject({ lastEventId: 12_000, prunedThroughId: 12_000 });
  await log.change(nodes, (_db, publish) => publish("add", {}));
  expect(ids()).toEqual([12_001]);
});

test.each<[string, { days: number; maxRows: number }, { days: number; maxRows: number } | undefined]>([
  ["by age", { days: 7, maxRows: 0 }, undefined],
  ["by number", { days: 0, maxRows: 3 }, undefined],
  ["by both", { days: 7, maxRows: 2 }, undefined],
  ["by nothing", { days: 0, maxRows: 0 }, undefined],
  ["with a rule of a topic's own", { days: 7, maxRows: 4 }, { days: 1, maxRows: 1 }],
  ["with a topic that keeps everything", { days: 7, maxRows: 1 }, { days: 0, maxRows: 0 }],
])("what would go is counted as it goes: %s", async (_name, rule, own) => {
  const topics = own === undefined ? [nodes, others] : [nodes, named("others", { retention: own })];
  // An old time may have a later id: a clock was wrong for a while.
  await write(
    ["n", 8 * DAY],
    ["o", 3 * DAY],
    ["n", 2],
    ["n", 9 * DAY],
    ["o", 8 * DAY],
    ["n", 1],
    ["o", 0],
    ["o", 0],
  );
  const had = database.reads.select({ id: wsEvents.id, topic: wsEvents.topic }).from(wsEvents).all();
  const plan = countOldEvents(database.reads, rule, topics, NOW);
  const deleted = await pruneEvents(database, rule, topics, NOW);
  const left = new Set(ids());
  const gone = Map.groupBy(
    had.filter(({ id }) => !left.has(id)),
    ({ topic }) => topic,
  );
  const expected = [...gone].map(([topic, events]) => ({
    topic,
    count: events.length,
    bytes: events.length * 2,
  }));
  const byName = (a: { topic: string }, b: { topic: string }) => (a.topic < b.topic ? -1 : 1);
  expect(plan.sort(byName)).toEqual(expected.sort(byName));
  expect(plan.reduce((sum, { count }) => sum + count, 0)).toBe(deleted);
});

test("without a clock that is believed only the number counts, also in what would go", async () => {
  await write(["n", 8 * DAY], ["n", 0], ["n", 0]);
  const rule = { days: 7, maxRows: 3 };
  expect(countOldEvents(database.reads, rule, [])).toEqual([]);
  expect(await pruneEvents(database, rule, [])).toBe(0);
});

test("it ends between two batches when it shall not go on", async () => {
  const log = new EventLog(database, () => {}, true);
  await log.change(nodes, (_db, publish) => {
    for (let index = 0; index < 12_000; index++) publish("add", {});
  });
  let asked = 0;
  expect(await pruneEvents(database, { days: 0, maxRows: 1 }, [], NOW, () => asked++ < 1)).toBe(5_000);
  expect(await pruneEvents(database, { days: 0, maxRows: 1 }, [], NOW, () => false)).toBe(0);
  expect([ids().length, marks()]).toEqual([7_000, [5_000, 0]]);
});

test("the newest event is the newest that is not later than now", async () => {
  expect(newestEventAt(database.reads, NOW)).toBeUndefined();
  await write(["n", 5], ["n", 3], ["n", -10]);
  expect([newestEventAt(database.reads, NOW), newestEventAt(database.reads, NOW + 20)]).toEqual([
    NOW - 3,
    NOW + 10,
  ]);
});
