// A history is cut off, handed on, copied and put before another one: whole, in order, and counted.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { granted, openTestHapiStore, type TestHapiStore } from "../../../test/support/hapi-store.ts";
import type { HapiStore } from "./contract.ts";
import type { NewMessage } from "./rows.ts";

let all: TestHapiStore;
let store: HapiStore;
let id: string;
let key: { namespace: string; id: string };
beforeEach(async () => {
  all = openTestHapiStore();
  store = all.store;
  id = await all.session("t");
  key = { namespace: "default", id };
});
afterEach(() => all.close());

const append = async (more: Partial<NewMessage> = {}) =>
  granted(await store.appendMessage({ session: key, content: { n: 1 }, localId: null, ...more }));
const user = (text: string) => ({ role: "user", content: { type: "text", text } });

test("rewinding removes from a message on, clearing all, and what is visible is counted again", async () => {
  await append({ content: user("hi") });
  const second = await append();
  await append();
  expect(await store.truncateMessages(key, second.message.id)).toEqual({ removed: 2, epoch: 1 });
  expect(await store.findSession(key)).toMatchObject({ hasConversationContent: true });
  expect(await store.truncateMessages(key, undefined)).toEqual({ removed: 1, epoch: 2 });
  expect(await store.findSession(key)).toMatchObject({ hasConversationContent: false });
  expect((await append()).message.seq).toBe(4);
});

test("what still waits for one session waits for another, behind what is there", async () => {
  await append({ content: user("taken"), localId: "t" });
  await store.consumeMessages({ session: key, localIds: ["t"] });
  await append({ content: user("waits"), localId: "w" });
  await append({ content: user("same"), localId: "s" });
  const into = { namespace: "default", id: await all.session("next") };
  await store.appendMessage({ session: into, content: "own", localId: "s" });
  const move = { namespace: "default", from: id, into: into.id };
  const moved = await store.moveWaitingMessages(move);
  expect(moved).toMatchObject({ messages: [{ localId: "w", seq: 2, sessionId: into.id, invokedAt: null }] });
  expect(await store.moveWaitingMessages(move)).toEqual({ messages: [] });
  expect((await store.replayMessages(into.id)).map(({ localId }) => localId)).toEqual(["s", "w"]);
  expect((await store.replayMessages(id)).map(({ localId }) => localId)).toEqual(["s"]);
  expect(await store.findSession(into)).toMatchObject({ hasConversationContent: true });
  expect(all.sql("SELECT epoch FROM message_epochs")).toEqual([{ epoch: 1 }, { epoch: 1 }]);
  expect(await store.moveWaitingMessages({ ...move, namespace: "other" })).toBe("access-denied");
});

test("a fork gets copies of what is history, before its own", async () => {
  await append({ content: user("one"), localId: "a" });
  await append({ content: "two", localId: "b" });
  const three = await append({ content: "three" });
  await append({ content: "waits", localId: "w" });
  await store.consumeMessages({ session: key, localIds: ["a", "b"] });
  const into = { namespace: "default", id: await all.session("fork") };
  await store.appendMessage({ session: into, content: "own", localId: "a" });
  const copy = { namespace: "default", from: id, into: into.id, before: three.message.id };
  expect(await store.copyMessages(copy)).toEqual({ copied: 2, epoch: 1 });
  const rows = await store.firstMessages(into.id, 9);
  expect(rows.map(({ seq, content, localId }) => [seq, content.value, localId])).toEqual([
    [1, user("one"), null],
    [2, "two", "b"],
    [5, "own", "a"],
  ]);
  expect(rows[0]?.id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-a[0-9a-f]{3}-[0-9a-f]{12}$/);
  expect(await store.findSession(into)).toMatchObject({ hasConversationContent: true });
});

test("a fork of a long history is copied in slices, whole and in order", async () => {
  await Promise.all(Array.from({ length: 1_203 }, (_, at) => append({ content: user(`${at + 1}`) })));
  const into = { namespace: "default", id: await all.session("fork") };
  const copy = { namespace: "default", from: id, into: into.id };
  expect(await store.copyMessages(copy)).toEqual({ copied: 1_203, epoch: 1 });
  expect(all.sql("SELECT count(*) AS n, max(seq) AS last FROM messages WHERE session_id <> ?", id)).toEqual([
    { n: 1_203, last: 1_203 },
  ]);
  expect(
    (await store.appendMessage({ session: into, content: "own", localId: null })) as object,
  ).toMatchObject({ message: { seq: 1_204 } });
  expect(await store.copyMessages({ ...copy, namespace: "other" })).toBe("access-denied");
});

test("a merge puts the old history before the new one, and the old session is gone", async () => {
  await append({ content: user("one"), localId: "same" });
  await append({ content: "two", localId: "old" });
  await store.setSessionColumns(key, { model: "opus", pinned: true, todos: { value: ["t"], at: 50 } });
  await store.addScratch(key, { text: "note", attachments: [] }, 9);
  const into = { namespace: "default", id: await all.session("new", "default", { path: "/n" }) };
  await store.appendMessage({ session: into, content: "three", localId: "same" });
  const merged = await store.mergeSessions({
    namespace: "default",
    from: id,
    into: into.id,
    metadata: (from, to) => ({ ...(from as object), ...(to as object) }),
  });
  expect(merged).toMatchObject({
    movedMessages: 2,
    epoch: 1,
    row: {
      id: into.id,
      metadata: { path: "/n", host: "h" },
      metadataVersion: 2,
      model: "opus",
      pinned: true,
      todos: ["t"],
      hasConversationContent: true,
    },
  });
  const rows = await store.firstMessages(into.id, 9);
  expect(rows.map(({ seq, content, localId }) => [seq, content.value, localId])).toEqual([
    [1, user("one"), null],
    [2, "two", "old"],
    [3, "three", "same"],
  ]);
  expect(rows[0]?.invokedAt).toBe(rows[0]?.createdAt ?? null);
  expect(await store.findSession(key)).toBe("not-found");
  expect(granted(await store.listScratch(into)).entries.length).toBe(1);
  expect(all.sql("SELECT messages FROM roost_sessions")).toEqual([{ messages: 3 }]);
  expect(all.sql("PRAGMA foreign_key_check")).toEqual([]);
});
