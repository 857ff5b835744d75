// What an accepted socket may ask, how often, and until when.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { type OpenTopics, openTopics } from "../../../test/support/open-topics.ts";
import {
  connected,
  listener,
  login,
  signedToken,
  site,
  type TopicsUser,
} from "../../../test/support/topics-client.ts";

let opened: OpenTopics;
let admin: TopicsUser;
beforeAll(async () => {
  opened = await openTopics();
  admin = await login(opened.url);
});
afterAll(() => opened.close());

const inSeconds = (seconds: number) => Math.floor(Date.now() / 1000) + seconds;

test("a request without payload and without callback is answered, in every shape that clients send", async () => {
  const heard = await admin.connect();
  heard.socket.emit("request:websites");
  heard.socket.emit("request:websites", null);
  heard.socket.emit("request:websites", {});
  expect((await heard.ask("request:websites")).mode).toBe("full");
  expect((await heard.ask("request:websites", { lastEventId: 5 }, "more")).mode).toBe("full");
  expect(heard.all("websites:initial").length).toBe(5);
  heard.close();
});

test("more than ten requests in ten seconds are refused, and the socket stays", async () => {
  const heard = await admin.connect();
  for (let round = 0; round < 10; round++) expect((await heard.ask("request:websites")).ok).toBe(true);
  expect(await heard.ask("request:nodes")).toEqual({ ok: false, code: 2003, message: "too many requests" });
  expect(heard.all("error")).toEqual([{ topic: "nodes", code: 2003, message: "too many requests" }]);
  expect(heard.all("nodes:initial")).toEqual([]);
  const other = await admin.connect();
  expect((await other.ask("request:websites")).ok).toBe(true);
  expect(heard.socket.connected).toBe(true);
  heard.close();
  other.close();
});

test("an unknown topic is acknowledged with 3001 and otherwise ignored", async () => {
  const heard = await admin.connect();
  expect(await heard.ask("request:unknown")).toMatchObject({ ok: false, code: 3001 });
  heard.socket.emit("request:unknown");
  heard.socket.emit("something else", 1);
  await heard.settled();
  expect(heard.heard.map(({ event }) => event)).toEqual(["connected"]);
  heard.close();
});

test("who left websites hears nothing until it asks again", async () => {
  const heard = await admin.connect();
  await heard.ask("leave:websites");
  const { id } = (await admin.post("/websites/create", site("left.example.com"))).body.data;
  await heard.settled();
  expect(heard.all("websites:update")).toEqual([]);
  const ack = await heard.ask("request:websites");
  await admin.post("/websites/delete", { ids: [id] });
  const [update] = await heard.until("websites:update");
  expect(update.eventId).toBe(ack.lastEventId + 1);
  heard.close();
});

test("a topic that does not allow somebody says 1004, has no room for them, and lets others in", async () => {
  Object.assign(opened.nodes, { authorize: ({ role }: { role: string }) => role === "admin" });
  const viewer = await connected(
    listener(opened.url, { auth: { token: await signedToken({ exp: inSeconds(60), role: "viewer" }) } }),
  );
  expect(await viewer.ask("request:nodes")).toEqual({ ok: false, code: 1004, message: "no permission" });
  expect(viewer.all("error")).toEqual([{ topic: "nodes", code: 1004, message: "no permission" }]);
  const allowed = await admin.connect();
  await allowed.ask("request:nodes");
  await opened.context.store.publish(opened.nodes, "add", 1);
  await allowed.until("nodes:update");
  await viewer.settled();
  expect(viewer.all("nodes:update")).toEqual([]);
  viewer.close();
  allowed.close();
});

test("when its token expires the socket is disconnected in a way that lets it come back", async () => {
  const heard = await connected(
    listener(opened.url, { auth: { token: await signedToken({ exp: inSeconds(2) }) } }),
  );
  expect(await heard.until("disconnect")).toEqual(["transport close"]);
  heard.close();
});

test("a token that outlives every timer does not end at once", async () => {
  const heard = await connected(
    listener(opened.url, { auth: { token: await signedToken({ exp: inSeconds(10 * 365 * 86_400) }) } }),
  );
  await heard.settled();
  expect(heard.socket.connected).toBe(true);
  heard.close();
});

test("where expiry does not disconnect, the socket stays", async () => {
  const lasting = await openTopics({ topicsDisconnectOnExpiry: false });
  const exp = inSeconds(1);
  const heard = await connected(listener(lasting.url, { auth: { token: await signedToken({ exp }) } }));
  while (Date.now() < exp * 1000 + 50) await Bun.sleep(50);
  expect((await heard.ask("request:websites")).ok).toBe(true);
  heard.close();
  await lasting.close();
});

test("a list of ten thousand websites reaches the client whole, as of one event", async () => {
  const { database } = opened;
  await database.writer.run((db) => {
    for (let id = 100_001; id <= 110_001; id++) {
      db.run(`INSERT INTO websites (id, line_group_id, origin_mode, redirect_url, created_at, updated_at)
              VALUES (${id}, 1, 'redirect', '/x', 1, 1)`);
      db.run(`INSERT INTO website_domains (website_id, domain, is_primary, created_at, updated_at)
              VALUES (${id}, 'd${id}.example.com', 1, 1, 1)`);
    }
  });
  const heard = await admin.connect();
  await heard.ask("request:websites");
  const [list] = heard.all("websites:initial");
  expect([list.items.length, list.total]).toEqual([10_000, 10_001]);
  expect([list.items[0].id, list.items.at(-1).primary_domain]).toEqual([110_001, "d100002.example.com"]);
  heard.close();
});
