// A topic is a registration, and nothing else has to know it.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { type OpenTopics, openTopics } from "../../test/support/open-topics.ts";
import {
  connected,
  type Listener,
  listener,
  login,
  site,
  type TopicsUser,
} from "../../test/support/topics-client.ts";
import { registry, topic } from "./topic.ts";

let opened: OpenTopics;
let admin: TopicsUser;
beforeAll(async () => {
  opened = await openTopics();
  admin = await login(opened.url);
});
afterAll(() => opened.close());

const plain = (name: string, more = {}) =>
  topic({
    name,
    itemKey: "id",
    snapshot: () => ({ items: [], total: 0 }),
    project: () => undefined,
    ...more,
  });

test("every name follows from the topic's name", () => {
  expect(plain("nodes")).toMatchObject({
    events: {
      request: "request:nodes",
      initial: "nodes:initial",
      update: "nodes:update",
      leave: "leave:nodes",
    },
    room: "nodes",
    autoJoin: false,
    replayLimit: 500,
    snapshotLimit: 10_000,
  });
  expect(plain("nodes").removed(3)).toEqual({ id: 3 });
});

test("names that are not usable are refused", () => {
  for (const name of ["", "Nodes", "1nodes", "no des", "no:des", "a".repeat(65)]) {
    expect(() => plain(name)).toThrow("cannot name a topic");
  }
  expect(plain("a".repeat(64)).room).toBe("a".repeat(64));
});

test("two topics may not share an event or a room", () => {
  expect(() => registry([plain("nodes"), plain("nodes")])).toThrow("share the topic nodes");
  expect(() => registry([plain("nodes"), plain("others", { room: "nodes" })])).toThrow(
    "share the room nodes",
  );
  const events = { ...plain("others").events, update: "nodes:update" };
  expect(() => registry([plain("nodes"), plain("others", { events })])).toThrow(
    "share the event nodes:update",
  );
});

test("a second topic is a registration: its own room, its own replay, though the ids interleave", async () => {
  const websites = await admin.connect();
  const nodes = await admin.connect();
  const start = (await nodes.ask("request:nodes")).lastEventId;
  const publish = (id: number) => opened.context.store.publish(opened.nodes, "add", id);
  await publish(1);
  const { id } = (await admin.post("/websites/create", site("between.example.com"))).body.data;
  await publish(2);
  await admin.post("/websites/delete", { ids: [id] });
  await publish(3);
  await nodes.until("nodes:update", 3);
  await websites.settled();
  expect(websites.all("nodes:update")).toEqual([]);
  expect(websites.all("websites:update").map(({ type }) => type)).toEqual(["add", "delete"]);
  const [first] = nodes.all("nodes:update");
  const later: Listener = await connected(listener(opened.url, { auth: { token: admin.token } }));
  const ack = await later.ask("request:nodes", { lastEventId: first.eventId });
  expect([start, ack.reason, ack.count]).toEqual([0, "replay", 2]);
  expect(later.all("nodes:update").map(({ data }) => data)).toEqual([{ id: 2 }, { id: 3 }]);
  expect(later.all("websites:update")).toEqual([]);
  for (const heard of [websites, nodes, later]) heard.close();
});
