// A change and its events are one: both are there or neither, ids in order, announced after the commit.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { getTableColumns } from "drizzle-orm";
import type { SQLiteTable } from "drizzle-orm/sqlite-core";
import { createLog } from "../../observability/log.ts";
import type { Database } from "../../storage/database.ts";
import { type Topic, topic } from "../topic.ts";
import { openTopicsDatabase } from "./database.ts";
import { EventLog, eventsAfter, type TopicEvent, topicState } from "./events.ts";
import { prepareStore } from "./opening.ts";
import { readAnswer } from "./replay.ts";
import * as schema from "./schema.ts";

const log = createLog("silent");
const named = (name: string, project: Topic["project"] = (_db, id) => ({ id })) =>
  topic({ name, itemKey: "id", snapshot: () => ({ items: [], total: 0 }), project });
const nodes = named("nodes");

let folder: string;
let database: Database;
let announced: TopicEvent[];
let events: EventLog;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "roost-events-"));
  database = openTopicsDatabase(folder, log);
  announced = [];
  events = new EventLog(database, (_topic, these) => announced.push(...these), true);
});
afterEach(async () => {
  await database.close();
  rmSync(folder, { recursive: true, force: true });
});

const stored = () => eventsAfter(database.reads, "nodes", 0, 1_000);

test("drizzle's tables have the columns of the migration", () => {
  for (const table of Object.values(schema) as SQLiteTable[]) {
    const name = (table as unknown as Record<symbol, string>)[Symbol.for("drizzle:Name")];
    const columns = database.reads
      .all<{ name: string }>(`PRAGMA table_info(${name})`)
      .map((column) => column.name);
    expect(columns).toEqual(Object.values(getTableColumns(table)).map((column) => column.name));
  }
});

test("a change that fails leaves nothing: no row, no event, no number", async () => {
  const change = events.change(nodes, (db, publish) => {
    db.insert(schema.topicDocuments)
      .values({ topic: "nodes", document: "{}", createdAt: 1, updatedAt: 1 })
      .run();
    publish("add", 1);
    throw new Error("stub");
  });
  await expect(change).rejects.toThrow("stub");
  await events.change(nodes, (_db, publish) => publish("add", 2));
  expect(stored()).toEqual([{ id: 1, type: "add", data: { id: 2 } }]);
  expect(announced).toEqual(stored());
  expect(topicState(database.reads, "nodes")).toMatchObject({ version: 1, published: 1 });
  expect(database.reads.select().from(schema.topicDocuments).all()).toEqual([]);
});

test("nothing is announced before it is committed, and announcements come in the order of the ids", async () => {
  const seen: [number, boolean][] = [];
  const watching = new EventLog(
    database,
    (_topic, these) => {
      for (const { id } of these) seen.push([id, stored().some((event) => event.id === id)]);
    },
    true,
  );
  await Promise.all(
    Array.from({ length: 20 }, (_, index) => watching.change(nodes, (_db, publish) => publish("add", index))),
  );
  expect(seen).toEqual(Array.from({ length: 20 }, (_, index) => [index + 1, true]));
});

test("an announcement that throws fails nobody", async () => {
  const failing = new EventLog(
    database,
    () => {
      throw new Error("stub");
    },
    true,
  );
  expect(await failing.change(nodes, (_db, publish) => publish("add", 1))).toEqual({ id: 1 });
  expect(stored().length).toBe(1);
});

test("a batch is one version and as many events as it published", async () => {
  await events.change(nodes, (_db, publish) => {
    for (const id of [7, 8, 9]) publish("delete", id);
  });
  expect(announced.map(({ type, data }) => [type, data])).toEqual([
    ["delete", { id: 7 }],
    ["delete", { id: 8 }],
    ["delete", { id: 9 }],
  ]);
  expect(topicState(database.reads, "nodes")).toMatchObject({ version: 1, published: 1, lastEventId: 3 });
});

test("an item that is gone when it should be described has no event, but counts", async () => {
  const gone = named("nodes", () => undefined);
  await events.change(gone, (_db, publish) => expect(publish("update", 1)).toBeUndefined());
  expect([announced, stored()]).toEqual([[], []]);
  expect(topicState(database.reads, "nodes")).toMatchObject({ version: 1, published: 1, lastEventId: 0 });
});

test("a clock that steps back does not turn the times around", async () => {
  await events.change(nodes, (_db, publish) => publish("add", 1));
  const future = Date.now() + 60_000;
  await database.writer.run((db) => db.update(schema.wsEvents).set({ createdAt: future }).run());
  await events.change(nodes, (_db, publish) => publish("add", 2));
  const times = database.reads.select({ at: schema.wsEvents.createdAt }).from(schema.wsEvents).all();
  expect(times).toEqual([{ at: future }, { at: future }]);
});

test("changes that left no events are found at the start, and nobody is told that nothing happened", async () => {
  await events.change(nodes, (_db, publish) => publish("add", 1));
  const silent = new EventLog(database, () => {}, false);
  await silent.change(nodes, (_db, publish) => publish("add", 2));
  expect((await readAnswer(database.reads, nodes, 1)).reason).toBe("up_to_date");
  await prepareStore(database, [nodes], log);
  expect(topicState(database.reads, "nodes")).toMatchObject({
    version: 2,
    published: 2,
    forceFullThrough: 1,
  });
  expect((await readAnswer(database.reads, nodes, 1)).reason).toBe("gap");
});

test("the default line group is made when there is none, and only then", async () => {
  await prepareStore(database, [nodes], log);
  await prepareStore(database, [nodes], log);
  const groups = database.reads.select().from(schema.lineGroups).all();
  expect(groups.map(({ id, name, cname }) => [id, name, cname])).toEqual([
    [1, "default", "default.cdn.invalid"],
  ]);
});
