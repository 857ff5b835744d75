// A topic that the operator declares in the configuration: documents over HTTP, their events, and their replay.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { parseConfig } from "../../../test/support/config.ts";
import type { TestServer } from "../../../test/support/server.ts";
import { login, type TopicsUser, topicsServer } from "../../../test/support/topics-client.ts";
import { configuredTopics } from "../configured.ts";

const TOPICS = JSON.stringify([
  {
    name: "nodes",
    schema: {
      type: "object",
      required: ["name"],
      properties: { name: { type: "string" }, port: { type: "integer", default: 80 } },
    },
  },
  { name: "notes", schema: true, autoJoin: true, snapshotLimit: 2, replayLimit: 3 },
]);

let server: TestServer;
let admin: TopicsUser;
beforeAll(async () => {
  const { topics } = parseConfig({ topics: { value: TOPICS, source: "ROOST_TOPICS" } });
  server = await topicsServer({ topics });
  admin = await login(server.url);
});
afterAll(() => server.stop());

const document = (name: string) => ({ document: { name } });

test("create, update and delete answer like websites, and fire the topic's events to its subscribers only", async () => {
  const stranger = await admin.connect();
  const subscriber = await admin.connect();
  const first = await subscriber.ask("request:nodes");
  expect(first).toEqual({ ok: true, mode: "full", reason: "initial", count: 0, lastEventId: 0 });

  const created = await admin.post("/topics/nodes/create", document("a"));
  const { id, item } = created.body.data;
  const time = expect.stringMatching(/Z$/);
  expect(item).toEqual({ id, document: { name: "a" }, created_at: time, updated_at: time });
  const updated = await admin.post("/topics/nodes/update", { id, ...document("b") });
  expect(updated.body.data).toMatchObject({ success: true, id, item: { id, document: { name: "b" } } });
  expect((await admin.get(`/topics/nodes/${id}`)).body.data.item).toEqual(updated.body.data.item);
  expect((await admin.get("/topics/nodes?pageSize=5")).body.data).toEqual({
    items: [updated.body.data.item],
    total: 1,
    page: 1,
    pageSize: 5,
  });
  const removed = await admin.post("/topics/nodes/delete", { ids: [id, 999] });
  expect(removed.body.data).toEqual({ success: true, deleted: 1, skipped: [999] });

  const updates = await subscriber.until("nodes:update", 3);
  expect(updates.map(({ type, data }) => [type, data])).toEqual([
    ["add", item],
    ["update", updated.body.data.item],
    ["delete", { id }],
  ]);
  await stranger.settled();
  expect(stranger.heard.map(({ event }) => event)).toEqual(["connected"]);

  const replayed = await stranger.ask("request:nodes", { lastEventId: updates[0].eventId });
  expect([replayed.reason, replayed.count]).toEqual(["replay", 2]);
  expect(stranger.all("nodes:update")).toEqual(updates.slice(1));
  stranger.close();
  subscriber.close();
});

test("after leaving, a socket hears no more", async () => {
  const heard = await admin.connect();
  await heard.ask("request:nodes");
  expect(await heard.ask("leave:nodes")).toEqual({ ok: true });
  await admin.post("/topics/nodes/create", document("unheard"));
  await heard.settled();
  expect(heard.all("nodes:update")).toEqual([]);
  heard.close();
});

test("a topic's own limits hold: joined by itself, two in a list, three replayed", async () => {
  const heard = await admin.connect();
  for (const text of ["one", "two", "three", "four"]) {
    await admin.post("/topics/notes/create", { document: text });
  }
  const updates = await heard.until("notes:update", 4);
  expect(await heard.ask("request:notes", {})).toMatchObject({ mode: "full", count: 2 });
  const [list] = heard.all("notes:initial");
  expect([list.total, list.items.map((item: { document: string }) => item.document)]).toEqual([
    4,
    ["four", "three"],
  ]);
  const three = await heard.ask("request:notes", { lastEventId: updates[0].eventId });
  expect([three.reason, three.count]).toEqual(["replay", 3]);
  await admin.post("/topics/notes/create", { document: "five" });
  expect((await heard.ask("request:notes", { lastEventId: updates[0].eventId })).reason).toBe("overflow");
  heard.close();
});

test.each<[string, unknown, string]>([
  ["what the schema refuses", { document: { name: 1 } }, "document.name: "],
  ["what lacks a required property", { document: {} }, "document.name: "],
  ["no document", {}, "document: "],
  [
    "what is nested too deep",
    { document: { name: "a", more: JSON.parse("[".repeat(150) + "]".repeat(150)) } },
    "nested",
  ],
])("%s is 400 / 2002 and fires nothing", async (_name, body, message) => {
  const heard = await admin.connect();
  await heard.ask("request:nodes");
  const answer = await admin.post("/topics/nodes/create", body);
  expect([answer.status, answer.body.code]).toEqual([400, 2002]);
  expect(answer.body.message).toContain(message);
  await heard.settled();
  expect(heard.all("nodes:update")).toEqual([]);
  heard.close();
});

test("documents of one topic are not those of another, and unknown topics are no route", async () => {
  const { id } = (await admin.post("/topics/nodes/create", document("mine"))).body.data;
  for (const answer of [
    await admin.get(`/topics/notes/${id}`),
    await admin.post("/topics/notes/update", { id, document: 1 }),
    await admin.post("/topics/notes/delete", { ids: [id] }),
    await admin.get("/topics/unknown"),
  ]) {
    expect([answer.status, answer.body.code]).toEqual([404, 3001]);
  }
  expect((await admin.get(`/topics/nodes/${id}`)).body.data.item.document).toEqual({ name: "mine" });
});

test.each<[string, string, string]>([
  [
    "a schema that cannot be enforced",
    '[{"name":"nodes","schema":{"type":"object","requierd":["a"]}}]',
    "requierd",
  ],
  [
    "a topic twice",
    '[{"name":"nodes","schema":true},{"name":"nodes","schema":true}]',
    "share the topic nodes",
  ],
  ["the name of a topic that is there", '[{"name":"websites","schema":true}]', "share the topic websites"],
  ["a name that is not usable", '[{"name":"No des","schema":true}]', "cannot name a topic"],
])("%s stops the start with a sentence", (_name, value, sentence) => {
  const { topics } = parseConfig({ topics: { value, source: "--topics" } });
  expect(() => configuredTopics({ ...parseConfig({}), topics })).toThrow(sentence);
});

test.each<[string, string]>([
  ["no JSON", "[{"],
  ["a word that is not known", '[{"name":"nodes","schema":true,"autojoin":true}]'],
  ["no schema", '[{"name":"nodes"}]'],
])("%s is refused as a setting", (_name, value) => {
  expect(() => parseConfig({ topics: { value, source: "--topics" } })).toThrow("--topics");
});
