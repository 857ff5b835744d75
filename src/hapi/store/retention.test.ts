// Only what is old and silent goes, slice by slice; what a namespace keeps is counted, bounded, and all of it can be deleted.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { openTestHapiStore, type TestHapiStore } from "../../../test/support/hapi-store.ts";
import { AccountBounds } from "../../storage/account-bounds.ts";
import { Quota } from "../../storage/quota.ts";
import type { HapiStore } from "./contract.ts";

let all: TestHapiStore;
let store: HapiStore;
let bound = 0;
beforeEach(() => {
  bound = 0;
  const accounts = new AccountBounds({ limits: () => ({ bytes: bound, counts: {} }), refused: () => {} });
  all = openTestHapiStore({ quota: new Quota(undefined, accounts) });
  store = all.store;
});
afterEach(() => all.close());

const append = (id: string, content: unknown, namespace = "default") =>
  store.appendMessage({ session: { namespace, id }, content, localId: null });
const OLD = 1_000;
const age = (id: string) => all.write("UPDATE sessions SET updated_at = 5, created_at = 5 WHERE id = ?", id);
const presence = {
  active: true,
  activeAt: 5,
  thinking: false,
  thinkingAt: 0,
  activeTurnStartedAt: null,
  backgroundTaskCount: 0,
  permissionMode: null,
  collaborationMode: null,
  copilotAgentMode: null,
};

test("an old session goes message by message and then whole; one that is active or changed stays", async () => {
  const [old, active, young] = [await all.session("a"), await all.session("b"), await all.session("c")];
  for (const id of [old, active, young]) await append(id, "x");
  for (let more = 0; more < 250; more++) await append(old, more);
  await age(old);
  await age(active);
  await store.storePresence({ sessions: [{ id: active, presence }] });
  const cutoffs = { sessions: OLD, messages: undefined, usage: undefined, expired: undefined };
  expect(await store.countOld(cutoffs)).toMatchObject([{ kind: "sessions", namespace: "default", count: 1 }]);
  expect(await store.countOld({ ...cutoffs, sessions: undefined, messages: OLD })).toMatchObject([
    { kind: "messages", count: 251 },
  ]);
  expect(await store.nextInactiveSession(OLD, "", true)).toEqual({ id: old, namespace: "default" });
  expect(await store.nextInactiveSession(OLD, old, true)).toBeUndefined();
  const removed = [];
  do removed.push(await store.deleteSomeMessages(old, OLD));
  while (removed.at(-1) !== 0);
  expect(removed).toEqual([200, 51, 0]);
  expect(all.sql(`SELECT messages, bytes FROM roost_sessions WHERE session_id = '${old}'`)).toEqual([
    { messages: 0, bytes: 0 },
  ]);
  expect(await store.nextInactiveSession(OLD, "", true)).toBeUndefined();
  const told: unknown[] = [];
  expect(await store.deleteInactiveSession(active, OLD, (gone) => told.push(gone))).toBe(false);
  expect(await store.deleteSomeMessages(young, OLD)).toBe(0);
  expect(await store.deleteInactiveSession(old, OLD, (gone) => told.push(gone?.row.id))).toBe(true);
  expect(told).toEqual([undefined, old]);
});

test("what somebody has pinned stays however old, and so does what waits for its time", async () => {
  const [pinned, top, waiting, old] = [
    await all.session("a"),
    await all.session("b"),
    await all.session("c"),
    await all.session("d"),
  ];
  await store.setSessionColumns({ namespace: "default", id: pinned }, { pinned: true });
  await store.setSessionColumns({ namespace: "default", id: top }, { globalPinned: true });
  const later = { localId: "l", scheduledAt: OLD + 5, content: "x" };
  await store.appendMessage({ session: { namespace: "default", id: waiting }, ...later });
  for (const id of [pinned, top, waiting, old]) await age(id);
  expect(await store.nextInactiveSession(OLD, "", false)).toEqual({ id: old, namespace: "default" });
  expect(await store.nextInactiveSession(OLD, old, false)).toBeUndefined();
  for (const id of [pinned, top, waiting]) {
    expect(await store.deleteInactiveSession(id, OLD, () => {})).toBe(false);
    expect(await store.deleteSomeMessages(id, OLD)).toBe(0);
  }
  // Its time is over for as long as everything else is kept: nobody will deliver it.
  await all.write("UPDATE messages SET scheduled_at = 5");
  expect(await store.deleteInactiveSession(waiting, OLD, () => {})).toBe(true);
});

test("the newest moment is none of the future", async () => {
  expect(await store.newestMoment(OLD)).toBeUndefined();
  const id = await all.session("t");
  await age(id);
  await append(id, "x");
  await all.write("UPDATE messages SET created_at = 77");
  expect(await store.newestMoment(OLD)).toBe(77);
  expect(await store.newestMoment(50)).toBe(5);
});

test("a namespace keeps what it may, and its neighbour has room of its own", async () => {
  const [a, b] = [await all.session("t", "a"), await all.session("t", "b")];
  bound = 3_000;
  const big = "x".repeat(1_500);
  await append(a, big, "a");
  await expect(append(a, big, "a")).rejects.toMatchObject({ code: "quota" });
  await append(b, big, "b");
  expect(all.sql("SELECT count(*) AS n FROM messages")).toEqual([{ n: 2 }]);
});

test("namespaces are listed with what they keep, and one is deleted whole", async () => {
  const id = await all.session("t", "a");
  await append(id, "four", "a");
  await store.registerMachine({ namespace: "a", id: "m", metadata: {} });
  await store.putSubscription({ namespace: "b", endpoint: "e", p256dh: "p", auth: "a" }, 9);
  const rows = await store.listNamespaces();
  expect(
    rows.map((row) => [row.namespace, row.sessions, row.machines, row.messages, row.pushSubscriptions]),
  ).toEqual([
    ["a", 1, 1, 1, 0],
    ["b", 0, 0, 0, 1],
  ]);
  expect(rows[0]?.bytes).toBe(256 * 3 + '{"path":"/p","host":"h"}'.length + '"four"'.length + 2);
  expect(await store.sessionBytes(id)).toBe(256 + '{"path":"/p","host":"h"}'.length + '"four"'.length);
  const told: unknown[] = [];
  expect(await store.deleteNamespace("a", (gone) => told.push(gone))).toEqual({
    sessions: [id],
    machines: ["m"],
  });
  expect(told).toEqual([{ session: id }, { machine: "m" }]);
  expect((await store.listNamespaces()).map(({ namespace }) => namespace)).toEqual(["b"]);
  expect(await store.countRecords()).toEqual({ namespaces: 0, sessions: 0, messages: 0, machines: 0 });
  expect((await store.databaseFiles()).databaseBytes).toBeGreaterThan(0);
});
