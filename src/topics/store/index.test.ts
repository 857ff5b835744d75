// What the protocol asks of its database, as it asks: users, documents, websites, events, and that nothing throws where it should reject.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createLog } from "../../observability/log.ts";
import type { Database } from "../../storage/database.ts";
import { documentTopic } from "../declared.ts";
import { LazyItems } from "../item.ts";
import { websitesTopic } from "../websites.ts";
import { openTopicsDatabase } from "./database.ts";
import type { TopicEvent } from "./events.ts";
import { type TopicsStore, topicsStore } from "./index.ts";
import type { NewWebsite } from "./websites.ts";

const log = createLog("silent");
const { topic: nodes } = documentTopic({ name: "nodes", schema: true });
const { topic: notes } = documentTopic({ name: "notes", schema: true });

let folder: string;
let database: Database;
let store: TopicsStore;
let announced: [string, TopicEvent][];
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "roost-topics-store-"));
  database = openTopicsDatabase(folder, log);
  announced = [];
  store = topicsStore(database, {
    announce: ({ name }, events) =>
      announced.push(...events.map((event) => [name, event] as [string, TopicEvent])),
    logEvents: true,
  });
  await store.prepare([websitesTopic, nodes, notes], log);
});
afterEach(async () => {
  await database.close();
  rmSync(folder, { recursive: true, force: true });
});

const fired = () => announced.splice(0).map(([name, { id, type }]) => `${name} ${type} ${id}`);

describe("users", () => {
  const alice = { username: "alice", passwordHash: "hash", role: "editor" };

  test("have names of their own, and are active until they are not", async () => {
    expect([await store.hasUsers(), await store.findUser("alice"), await store.isActiveUser(1)]).toEqual([
      false,
      undefined,
      false,
    ]);
    expect([await store.addUser(alice), await store.addUser(alice)]).toEqual([true, false]);
    expect(await store.findUser("alice")).toMatchObject({ ...alice, id: 1, status: "active" });
    expect([await store.hasUsers(), await store.isActiveUser(1)]).toEqual([true, true]);
    expect(await store.changeUser("alice", { status: "inactive" })).toBe(true);
    expect([await store.isActiveUser(1), (await store.findUser("alice"))?.passwordHash]).toEqual([
      false,
      "hash",
    ]);
  });

  test("that are not there are not changed; those that are come in the order in which they did", async () => {
    expect(await store.changeUser("alice", { passwordHash: "other" })).toBe(false);
    for (const username of ["b", "a"]) await store.addUser({ ...alice, username });
    expect((await store.listUsers()).map(({ username }) => username)).toEqual(["b", "a"]);
  });
});

describe("documents", () => {
  const write = (...texts: string[]) =>
    Promise.all(texts.map((text) => store.createDocument(nodes, JSON.stringify({ text }))));

  test("are created, replaced and deleted, each with its event, and only within their topic", async () => {
    const [first] = await write("a");
    const id = first?.id as number;
    expect(await store.updateDocument(nodes, id, '{"text":"b"}')).toMatchObject({
      id,
      document: { text: "b" },
    });
    expect(await store.findDocument(nodes, id)).toMatchObject({ document: { text: "b" } });
    expect(await store.findDocument(notes, id)).toBeUndefined();
    await expect(store.updateDocument(notes, id, "1")).rejects.toMatchObject({ code: 3001 });
    await expect(store.removeDocuments(notes, [id])).rejects.toMatchObject({ code: 3001 });
    expect(await store.removeDocuments(nodes, [id, id, 99])).toEqual({ deleted: 1, skipped: [99] });
    expect(fired()).toEqual(["nodes add 1", "nodes update 2", "nodes delete 3"]);
  });

  test("come in pages, newest first, with the number of all", async () => {
    await write("a", "b", "c");
    const texts = async (page: number, pageSize: number) => {
      const { items, total } = await store.pageDocuments(nodes, page, pageSize);
      return [
        [...(items as Iterable<{ document: { text: string } }>)].map((item) => item.document.text),
        total,
      ];
    };
    expect([await texts(1, 2), await texts(2, 2), await texts(3, 2)]).toEqual([
      [["c", "b"], 3],
      [["a"], 3],
      [[], 3],
    ]);
    expect(await store.pageDocuments(notes, 1, 2)).toEqual({ items: [], total: 0 });
  });

  test("of a heavy page are read while it is written, those that are gone by then left out", async () => {
    await write("a".repeat(600_000), "b".repeat(600_000));
    const { items, total } = await store.pageDocuments(nodes, 1, 10);
    expect(items).toBeInstanceOf(LazyItems);
    await store.removeDocuments(nodes, [2]);
    expect([[...(items as LazyItems).items].map(({ id }) => id), total]).toEqual([[1], 2]);
  });
});

describe("websites", () => {
  const site = (...domains: string[]): NewWebsite => ({
    lineGroupId: 1,
    cacheRuleId: null,
    domains,
    origin: { mode: "redirect", redirectUrl: "/x" },
    https: undefined,
  });

  test("are created, changed and deleted, each with its event", async () => {
    const created = await store.createWebsite(site("a.example.com", "b.example.com"));
    expect(created).toMatchObject({ id: 1, primary_domain: "a.example.com", cname: "default.cdn.invalid" });
    expect(await store.findWebsite(1)).toEqual(created);
    expect(await store.updateWebsite(1, { status: "inactive", origin: {} })).toMatchObject({
      status: "inactive",
      domains: ["a.example.com", "b.example.com"],
    });
    expect(await store.removeWebsites([1, 7])).toEqual({ deleted: 1, skipped: [7] });
    expect(await store.findWebsite(1)).toBeUndefined();
    expect(fired()).toEqual(["websites add 1", "websites update 2", "websites delete 3"]);
  });

  test.each<[string, () => Promise<unknown>, number]>([
    ["an unknown line group", () => store.createWebsite({ ...site("b.example.com"), lineGroupId: 9 }), 3001],
    ["a domain of another", () => store.createWebsite(site("b.example.com", "a.example.com")), 3002],
    ["an unknown website", () => store.updateWebsite(9, { origin: {} }), 3001],
    ["a line group that is asked about", () => store.requireLineGroup(9), 3001],
    ["settings of an unknown website", () => store.findWebsiteHttps(9), 3001],
    ["only unknown websites", () => store.removeWebsites([9]), 3001],
  ])("with %s are refused, change nothing and have no event", async (_name, work, code) => {
    await store.createWebsite(site("a.example.com"));
    fired();
    await expect(work()).rejects.toMatchObject({ code });
    expect([fired(), (await store.pageWebsites({}, 1, 10)).total]).toEqual([[], 1]);
    // The domain that came before the taken one is free again.
    await store.createWebsite(site("b.example.com"));
  });

  test("keep HTTPS settings that were given, and have none otherwise", async () => {
    await store.createWebsite(site("a.example.com"));
    await store.requireLineGroup(1);
    expect(await store.findWebsiteHttps(1)).toBeUndefined();
    await store.updateWebsite(1, { origin: {}, https: { complete: false, enabled: true } });
    expect(await store.findWebsiteHttps(1)).toMatchObject({ websiteId: 1, enabled: true, hsts: false });
    await store.removeWebsites([1]);
    await store.createWebsite(site("a.example.com"));
    expect(await store.findWebsiteHttps(2)).toBeUndefined();
  });

  test("are filtered by their status and by a part of any domain", async () => {
    await store.createWebsite(site("a.example.com", "other.test"));
    await store.createWebsite(site("b.example.com"));
    await store.updateWebsite(2, { status: "inactive", origin: {} });
    const ids = async (filter: Parameters<TopicsStore["pageWebsites"]>[0]) =>
      [...((await store.pageWebsites(filter, 1, 10)).items as Iterable<{ id: number }>)].map(({ id }) => id);
    expect([
      await ids({}),
      await ids({ status: "active" }),
      await ids({ domain: "other" }),
      await ids({ domain: "example", status: "inactive" }),
      await ids({ domain: "%" }),
    ]).toEqual([[2, 1], [1], [1], [2], []]);
  });
});

describe("events", () => {
  test("of items that are kept elsewhere are published by their id or as they are", async () => {
    expect(await store.publish(nodes, "delete", 7)).toEqual({ id: 7 });
    expect(await store.publish(nodes, "add", { id: 8 })).toEqual({ id: 8 });
    // Not there: nothing to tell, its deletion covers it.
    expect(await store.publish(nodes, "update", 9)).toBeUndefined();
    expect(fired()).toEqual(["nodes delete 1", "nodes add 2"]);
    expect([await store.lastEventId(nodes), await store.lastEventId(notes)]).toEqual([2, 0]);
    expect((await store.eventsAfter(nodes, 1, 10)).map(({ id }) => id)).toEqual([2]);
    expect(await store.readAnswer(nodes, 1)).toMatchObject({
      mode: "incremental",
      reason: "replay",
      through: 2,
    });
  });

  test("are quiet where nobody listens, and stored all the same", async () => {
    const quiet = topicsStore(database);
    await quiet.publish(nodes, "add", { id: 1 });
    expect([fired(), await store.lastEventId(nodes)]).toEqual([[], 1]);
  });
});

test("what the database refuses rejects, and is never thrown", async () => {
  await database.writer.run((db) => db.run("ALTER TABLE websites RENAME TO elsewhere"));
  for (const ask of [
    () => store.findWebsite(1),
    () => store.pageWebsites({}, 1, 10),
    () => store.readAnswer(websitesTopic, undefined),
    () => store.removeWebsites([1]),
  ]) {
    const asked = ask();
    expect(asked).toBeInstanceOf(Promise);
    await expect(asked).rejects.toThrow();
  }
  // The read transaction that failed is over.
  expect(await store.readAnswer(nodes, undefined)).toMatchObject({ mode: "full" });
});
