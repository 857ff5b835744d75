// The ledger of notifications: what is kept and found again, which registrations go, and that it goes with its session.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { openTestHapiStore, type TestHapiStore } from "../../../test/support/hapi-store.ts";
import type { RecordedPush } from "./rows.ts";

let all: TestHapiStore;
let push: RecordedPush;
beforeEach(async () => {
  all = openTestHapiStore();
  push = {
    namespace: "default",
    sessionId: await all.session("t"),
    channel: "web",
    kind: "ready",
    eventKey: "e",
    outcome: "partial",
    reason: "HTTP 503",
    devices: 2,
    delivered: 1,
    durationMs: 3,
  };
});
afterEach(() => all.close());

const find = (now = Date.now(), namespace = "default") => all.store.findKeptPush(namespace, "e", now, 10_000);
const browser = async (auth: string) => {
  await all.store.putSubscription({ namespace: "default", endpoint: "e", p256dh: "p", auth }, 5);
  const [row] = await all.store.listSubscriptions("default");
  if (row === undefined) throw new Error("no row");
  return row;
};

test("a decision is found within its time, by its namespace only", async () => {
  await all.store.recordPush(push, []);
  const { outcome, reason, devices, delivered } = push;
  expect(await find()).toEqual({ outcome, reason, devices, delivered });
  expect(await find(Date.now() + 60_000)).toBeUndefined();
  expect(await find(Date.now(), "other")).toBeUndefined();
});

test("nothing is kept of a session that is gone, or that is another namespace's", async () => {
  await all.store.recordPush({ ...push, sessionId: "nobody" }, []);
  await all.store.recordPush({ ...push, namespace: "other" }, []);
  expect(all.sql("SELECT * FROM roost_pushes")).toEqual([]);
  await all.store.recordPush(push, []);
  await all.store.setTold(push.sessionId, ["r"]);
  await all.store.deleteSession({ namespace: "default", id: push.sessionId });
  expect(all.sql("SELECT id AS x FROM roost_pushes UNION ALL SELECT 1 FROM roost_told")).toEqual([]);
});

test("a registration that is dead goes, and one that was renewed meanwhile stays", async () => {
  const old = await browser("old");
  const renewed = await browser("new");
  await all.store.recordPush(push, [old]);
  expect(await all.store.listSubscriptions("default")).toHaveLength(1);
  await all.store.recordPush(push, [renewed]);
  expect(await all.store.listSubscriptions("default")).toEqual([]);
});

test("old decisions are forgotten", async () => {
  await all.store.recordPush(push, []);
  await all.store.forgetOldPushes(Date.now());
  expect(await find()).toBeDefined();
  await all.store.forgetOldPushes(Date.now() + 31 * 24 * 3_600_000);
  expect(await find()).toBeUndefined();
});

test("what people were told of is kept until it is forgotten", async () => {
  await all.store.setTold(push.sessionId, ["a", "b"]);
  await all.store.setTold(push.sessionId, ["b"]);
  expect(await all.store.findTold(push.sessionId)).toEqual(["b"]);
  await all.store.setTold(push.sessionId, []);
  expect(await all.store.findTold(push.sessionId)).toEqual([]);
});
