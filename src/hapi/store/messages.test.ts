// Messages are stored once for each localId, in order, paged by position as the contract says, and taken once.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { granted, openTestHapiStore, type TestHapiStore } from "../../../test/support/hapi-store.ts";
import type { HapiStore } from "./contract.ts";
import type { MessageRow, NewMessage, PageQuery } from "./rows.ts";

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
const page = async (query: PageQuery) => {
  const { messages, page: facts } = granted(await store.pageMessages(key, query));
  return { seqs: (await Array.fromAsync<MessageRow>(messages.rows)).map(({ seq }) => seq), page: facts };
};
const stored = () => all.sql<{ seq: number }>("SELECT * FROM messages ORDER BY seq");
const facts = () => all.sql("SELECT messages, last_seq, bytes, has_content FROM roost_sessions")[0];
const user = (text: string) => ({ role: "user", content: { type: "text", text } });

test("each gets the next seq, is announced in order after it is stored, and a repeated localId gives the first row", async () => {
  const seen: [number, number][] = [];
  const results = await Promise.all(
    ["a", "b", "a"].map((localId, index) =>
      store.appendMessage({ session: key, content: { index }, localId }, (result) =>
        seen.push([granted(result).message.seq, stored().length]),
      ),
    ),
  );
  expect(seen).toEqual([
    [1, 2],
    [2, 2],
    [1, 2],
  ]);
  const [first, , again] = results.map(granted);
  expect([first?.kind, again?.kind]).toEqual(["stored", "known"]);
  expect(again?.message.id).toBe(first?.message.id ?? "");
  expect(again?.message.content.value).toEqual({ index: 0 });
  expect(first?.message).toMatchObject({ invokedAt: null, scheduledAt: null, deliveryState: "queued" });
});

test("without localId it counts as taken at once", async () => {
  const { message } = await append();
  expect(message.invokedAt).toBe(message.createdAt);
});

test("a page reads the same whether its contents are small enough to be read at once or not", async () => {
  const deep = "[".repeat(1_500) + "]".repeat(1_500);
  const large = JSON.stringify("x".repeat(8_190));
  const cells = ['{"n":1}', '{\n"n":2}', "no JSON", large, deep, "nul\0", "{}\0"];
  for (const _ of cells) await append();
  for (const [index, cell] of cells.entries())
    await all.write("UPDATE messages SET content = ? WHERE seq = ?", cell, index + 1);
  const texts = async () => {
    const { messages } = granted(await store.pageMessages(key, { direction: "latest", limit: 50 }));
    const rows = await Array.fromAsync<MessageRow>(messages.rows);
    const read = rows.slice(0, cells.length).map(({ content }) => content.text);
    return { isHeavy: messages.isHeavy, read };
  };
  const { isHeavy, read } = await texts();
  expect({ isHeavy, read }).toEqual({
    isHeavy: false,
    read: ['{"n":1}', '{"n":2}', "null", large, deep, "null", "null"],
  });
  // One that is larger makes the page one that is weighed; so much that it is heavy is read row by row.
  await append({ content: "x".repeat(9_000) });
  expect(await texts()).toEqual({ isHeavy: false, read });
  await append({ content: Array.from({ length: 300_000 }, (_, n) => n) });
  expect(await texts()).toEqual({ isHeavy: true, read });
});

test("nobody stores into a session that is not theirs", async () => {
  const to = (namespace: string, session: string) =>
    store.appendMessage({ session: { namespace, id: session }, content: 1, localId: null });
  expect(await to("other", id)).toBe("access-denied");
  expect(await to("default", "nobody")).toBe("not-found");
  expect(stored()).toEqual([]);
});

test.each<[string, unknown]>([
  ["null", null],
  ["a text", "hello"],
  ["a long object", { text: "wörter ".repeat(2_000), list: [1, { deep: true }] }],
  [
    "noise that does not shrink",
    Buffer.from(crypto.getRandomValues(new Uint8Array(4_000))).toString("base64"),
  ],
])("%s comes back as it was stored", async (_, content) => {
  const { message } = await append({ content });
  expect(message.content.value).toEqual(content);
  const found = granted(await store.findMessage(key, message.id)).message;
  expect(found?.content.value).toEqual(content);
  expect(JSON.parse(found?.content.text ?? "")).toEqual(content);
  expect(JSON.stringify(found?.content)).toBe(JSON.stringify(content));
});

test("a long content is a zstd blob, a short one text; what another hub left unreadable reads as null on one line", async () => {
  await append({ content: "x".repeat(5_000) });
  await append({ content: "x" });
  expect(
    all.sql("SELECT typeof(content) AS t, hex(substr(content, 1, 4)) AS head FROM messages ORDER BY seq"),
  ).toEqual([
    { t: "blob", head: "28B52FFD" },
    { t: "text", head: "22782200".slice(0, 6) },
  ]);
  await all.write("UPDATE messages SET content = x'28B52FFD00' WHERE seq = 1");
  await all.write("UPDATE messages SET content = '{\n \"a\": 1}' WHERE seq = 2");
  const rows = await store.firstMessages(id, 9);
  expect(rows.map(({ content }) => content.text)).toEqual(["null", '{"a":1}']);
});

test("a claimed time is never later than now; an older one moves the epoch, because it is not the newest", async () => {
  const now = Date.now();
  expect((await append({ createdAt: now + 60_000 })).message.createdAt).toBeLessThanOrEqual(Date.now());
  expect((await page({ direction: "latest", limit: 9 })).page.epoch).toBe(0);
  expect((await append({ createdAt: now - 60_000 })).message.createdAt).toBe(now - 60_000);
  const { seqs, page: got } = await page({ direction: "latest", limit: 9 });
  expect([seqs, got.epoch]).toEqual([[2, 1], 1]);
});

test("a clock that was set back puts no message before those that are there", async () => {
  const ahead = Date.now() + 3_600_000;
  await append();
  await all.write("UPDATE messages SET created_at = ?, invoked_at = ?", ahead, ahead);
  await append();
  await append({ localId: "w" });
  const { seqs, page: got } = await page({ direction: "latest", limit: 9 });
  expect([seqs, got.epoch]).toEqual([[1, 2, 3], 0]);
  const consumed = granted(await store.consumeMessages({ session: key, localIds: ["w"] }));
  expect(consumed.changed[0]?.invokedAt).toBe(ahead);
});

test("a seq that was given out is not given out again", async () => {
  await append();
  await append({ localId: "w" });
  await store.cancelMessage(key, "w");
  expect((await append()).message.seq).toBe(3);
});

test("live reasoning takes the place of its last row, until it is final or long ago, and no epoch moves", async () => {
  const think = (live: boolean, localId = "r") => append({ reasoning: { id: localId, isLive: live } });
  const first = await think(true);
  const second = await think(true);
  expect(second).toMatchObject({ replaced: first.message.id, message: { seq: 2 } });
  await append();
  expect((await think(false)).replaced).toBe(second.message.id);
  expect((await think(true)).replaced).toBeUndefined();
  for (let more = 0; more < 50; more++) await append();
  expect((await think(true)).replaced).toBeUndefined();
  expect((await page({ direction: "latest", limit: 1 })).page.epoch).toBe(0);
  expect(facts()).toMatchObject({ messages: stored().length });
});

test("the first visible content is told once; what nobody sees is none", async () => {
  const ready = { role: "agent", content: { id: "1", type: "event", data: { type: "ready" } } };
  expect((await append({ content: ready })).isFirstContent).toBe(false);
  expect(await store.findSession(key)).toMatchObject({ hasConversationContent: false });
  expect((await append({ content: user("hi") })).isFirstContent).toBe(true);
  expect((await append({ content: user("hi") })).isFirstContent).toBe(false);
  expect(await store.findSession(key)).toMatchObject({ hasConversationContent: true });
});

test("todos and the time of the session move with the message that carries them", async () => {
  const before = granted(await store.findSession(key));
  await Bun.sleep(2);
  const told = await append({ todos: [{ content: "c" }] });
  expect(told.todos).toEqual({ value: [{ content: "c" }], at: told.message.createdAt });
  expect(told.updatedAt).toBe(told.message.createdAt);
  expect(await store.findSession(key)).toMatchObject({
    todos: [{ content: "c" }],
    seq: before.seq + 1,
    updatedAt: told.message.createdAt,
  });
  const older = await append({ todos: [], createdAt: before.createdAt });
  expect([older.todos, older.updatedAt]).toEqual([undefined, undefined]);
  expect((await append()).updatedAt).toBeUndefined();
  await Bun.sleep(2);
  const touching = await append({ touches: true });
  expect(touching.updatedAt).toBe(touching.message.createdAt);
});

/** Positions 10, 20, ... by seq; seq 2 and 7 wait. */
async function history(): Promise<void> {
  for (let seq = 1; seq <= 8; seq++) await append({ localId: seq === 2 || seq === 7 ? `w${seq}` : null });
  await all.write("UPDATE messages SET created_at = seq * 10");
  await all.write("UPDATE messages SET invoked_at = created_at WHERE invoked_at IS NOT NULL");
}
const head = { snapshotHeadSeq: 8, snapshotHeadAt: 80 };
const none = { nextBeforeSeq: null, nextBeforeAt: null, nextAfterSeq: null, nextAfterAt: null };

test("the latest page is the newest rows by position, with all that waits", async () => {
  await history();
  expect(await page({ direction: "latest", limit: 3 })).toEqual({
    seqs: [2, 6, 7, 8],
    page: {
      direction: "latest",
      limit: 3,
      epoch: 0,
      reset: false,
      ...none,
      nextBeforeSeq: 6,
      nextBeforeAt: 60,
      ...head,
      hasMore: true,
    },
  });
  expect((await page({ direction: "latest", limit: 8 })).page).toMatchObject({
    nextBeforeSeq: 1,
    hasMore: false,
  });
});

test("before a cursor come older rows, a waiting one again at its own place", async () => {
  await history();
  const { seqs, page: got } = await page({ direction: "before", limit: 4, before: { at: 60, seq: 6 } });
  expect(seqs).toEqual([2, 3, 4, 5]);
  expect(got).toEqual({
    direction: "before",
    limit: 4,
    epoch: 0,
    reset: false,
    ...none,
    nextBeforeSeq: 2,
    nextBeforeAt: 20,
    ...head,
    hasMore: true,
  });
  const last = await page({ direction: "before", limit: 4, before: { at: 20, seq: 2 } });
  expect([last.seqs, last.page.hasMore]).toEqual([[1], false]);
});

test("after a cursor come newer rows, up to a bound that is given or the newest", async () => {
  await history();
  const from = (seq: number) => ({ at: seq * 10, seq });
  const { seqs, page: got } = await page({ direction: "after", limit: 2, after: from(3) });
  expect(seqs).toEqual([4, 5]);
  expect(got).toEqual({
    direction: "after",
    limit: 2,
    epoch: 0,
    reset: false,
    ...none,
    nextAfterSeq: 5,
    nextAfterAt: 50,
    ...head,
    hasMore: true,
  });
  const bounded = await page({ direction: "after", limit: 9, after: from(3), until: from(5) });
  expect(bounded).toMatchObject({
    seqs: [4, 5],
    page: { snapshotHeadSeq: 5, snapshotHeadAt: 50, hasMore: false },
  });
  const beyond = await page({ direction: "after", limit: 9, after: from(8), until: from(99) });
  expect(beyond).toMatchObject({
    seqs: [],
    page: { nextAfterSeq: 8, nextAfterAt: 80, ...head, hasMore: false },
  });
});

test("rows of one millisecond are told apart by seq, in both directions", async () => {
  for (let seq = 1; seq <= 6; seq++) await append();
  await all.write("UPDATE messages SET created_at = 5, invoked_at = 5");
  expect((await page({ direction: "before", limit: 2, before: { at: 5, seq: 4 } })).seqs).toEqual([2, 3]);
  expect((await page({ direction: "after", limit: 2, after: { at: 5, seq: 4 } })).seqs).toEqual([5, 6]);
});

test("after with another epoch is the latest page, and says that it starts again", async () => {
  await history();
  await store.cancelMessage(key, "w2");
  const ask = (epoch: number) => page({ direction: "after", limit: 2, after: { at: 10, seq: 1 }, epoch });
  expect((await ask(1)).page).toMatchObject({ direction: "after", reset: false, epoch: 1 });
  expect(await ask(0)).toMatchObject({ seqs: [7, 8], page: { direction: "latest", reset: true, epoch: 1 } });
});

test("an empty session has a page of nothing", async () => {
  const nothing = { ...none, snapshotHeadSeq: null, snapshotHeadAt: null, hasMore: false };
  expect(await page({ direction: "latest", limit: 5 })).toMatchObject({ seqs: [], page: nothing });
  expect(await page({ direction: "after", limit: 5, after: { at: 1, seq: 1 } })).toMatchObject({
    seqs: [],
    page: { ...nothing, nextAfterSeq: 1, nextAfterAt: 1 },
  });
  // All was looked at up to the bound that was given (probed).
  const until = (at: number) =>
    page({ direction: "after", limit: 5, after: { at: 5, seq: 1 }, until: { at, seq: 9 } });
  expect((await until(9)).page).toMatchObject({ nextAfterSeq: 9, nextAfterAt: 9, snapshotHeadAt: 9 });
  expect((await until(2)).page).toMatchObject({ nextAfterSeq: 1, nextAfterAt: 5, snapshotHeadAt: 2 });
});

test("a page of large contents is read while it is written, and one of small ones at once", async () => {
  await append({ content: "x".repeat(3 * 1024 * 1024) });
  await append({ content: `${"y".repeat(900 * 1024)}` });
  expect(all.sql("SELECT typeof(content) AS t FROM messages ORDER BY seq")).toEqual([
    { t: "text" },
    { t: "blob" },
  ]);
  const { messages } = granted(await store.pageMessages(key, { direction: "latest", limit: 9 }));
  expect(messages.isHeavy).toBe(true);
  const rows = await Array.fromAsync<MessageRow>(messages.rows);
  expect(rows.map(({ content }) => content.text.length)).toEqual([3 * 1024 * 1024 + 2, 900 * 1024 + 2]);
  await store.truncateMessages(key, undefined);
  await append();
  expect(granted(await store.pageMessages(key, { direction: "latest", limit: 9 })).messages.isHeavy).toBe(
    false,
  );
});

test("a back-fill leaves out what is scheduled for later and what is parked", async () => {
  await append();
  await append({ localId: "later", scheduledAt: Date.now() + 60_000 });
  await append({ localId: "due", scheduledAt: 5 });
  await append({ localId: "parked" });
  await append({ localId: "waits" });
  await append({ localId: "steered" });
  await store.setDeliveryState({ session: key, localIds: ["parked"], state: "indeterminate" });
  await store.setDeliveryState({ session: key, localIds: ["steered"], state: "dispatching" });
  expect(await store.queuedState({ session: key, localIds: ["parked", "waits", "steered"] })).toMatchObject({
    queuedLocalIds: ["waits"],
    indeterminateLocalIds: ["parked", "steered"],
  });
  const after = async (afterSeq: number, limit = 200) =>
    Array.from(
      granted(await store.messagesAfter(key, { afterSeq, limit })).rows as MessageRow[],
      ({ seq }) => seq,
    );
  expect(await after(0)).toEqual([1, 3, 5]);
  expect(await after(1, 1)).toEqual([3]);
  expect(await after(5)).toEqual([]);
});

test("what was taken is told as taken, once; unknown ids appear nowhere", async () => {
  await append({ localId: "a" });
  await append({ localId: "b" });
  await append({ localId: "c" });
  await store.setDeliveryState({ session: key, localIds: ["b"], state: "indeterminate" });
  const consume = async (...localIds: string[]) =>
    granted(await store.consumeMessages({ session: key, localIds }));
  const first = await consume("a", "a", "nobody");
  expect(first.changed.map(({ localId }) => localId)).toEqual(["a"]);
  expect((await consume("a")).changed).toEqual([]);
  const asked = ["a", "b", "c", "nobody"];
  expect(await store.queuedState({ session: key, localIds: asked })).toEqual({
    queuedLocalIds: ["c"],
    indeterminateLocalIds: ["b"],
    invokedLocalMessages: [{ localId: "a", invokedAt: first.changed[0]?.invokedAt ?? 0 }],
  });
  expect((await consume("b")).changed[0]).toMatchObject({ localId: "b", deliveryState: "queued" });
});

test("a waiting message is cancelled and the epoch moves; a taken one is given back; an unknown one is gone anyway", async () => {
  const a = await append({ localId: "a" });
  await append({ localId: "b", content: "B" });
  await store.consumeMessages({ session: key, localIds: ["b"] });
  expect(await store.cancelMessage(key, a.message.id)).toMatchObject({
    status: "cancelled",
    message: { localId: "a" },
  });
  expect(await store.cancelMessage(key, "a")).toEqual({ status: "cancelled", message: undefined });
  const taken = granted(await store.cancelMessage(key, "b"));
  expect(taken).toMatchObject({ status: "invoked", message: { localId: "b" } });
  expect((await page({ direction: "latest", limit: 5 })).page.epoch).toBe(1);
  expect(facts()).toMatchObject({ messages: 1, bytes: 256 + 3 });
});

test("a parked message goes back into the queue; steering says what changed", async () => {
  await append({ localId: "a" });
  const set = async (state: "queued" | "dispatching" | "indeterminate", ...localIds: string[]) =>
    granted(await store.setDeliveryState({ session: key, localIds, state }));
  expect(await set("dispatching", "a", "x")).toEqual({ changed: ["a"], unknown: ["x"] });
  expect(await set("dispatching", "a")).toEqual({ changed: [], unknown: [] });
  const requeue = async () => granted(await store.requeueMessage(key, "a")).status;
  expect([await requeue(), await requeue()]).toEqual(["requeued", "already-queued"]);
  await store.consumeMessages({ session: key, localIds: ["a"] });
  expect([await requeue(), granted(await store.requeueMessage(key, "x")).status]).toEqual([
    "invoked",
    "unknown",
  ]);
  expect(await set("indeterminate", "a")).toEqual({ changed: [], unknown: [] });
});

test("what is scheduled comes when it is due, earliest first, until it is taken; only what waits at once is replayed", async () => {
  const now = Date.now();
  await append({ localId: "second", scheduledAt: now + 2_000 });
  await append({ localId: "first", scheduledAt: now + 1_000 });
  await append({ localId: "now" });
  await append({ localId: "parked" });
  await store.setDeliveryState({ session: key, localIds: ["parked"], state: "dispatching" });
  await append();
  const due = async (at: number) => (await store.dueMessages(at, 9)).map(({ message }) => message.localId);
  expect([await due(now), await store.nextDueAt(now)]).toEqual([[], now + 1_000]);
  expect([await due(now + 2_000), await store.nextDueAt(now + 2_000)]).toEqual([
    ["first", "second"],
    undefined,
  ]);
  await store.consumeMessages({ session: key, localIds: ["first"] });
  expect(await store.dueMessages(now + 9_000, 9)).toMatchObject([
    { namespace: "default", message: { localId: "second" } },
  ]);
  expect((await store.replayMessages(id)).map(({ localId }) => localId)).toEqual(["now"]);
});

test("the end of a session takes what waits at once, leaves what is scheduled or parked, and marks the row", async () => {
  await append({ localId: "waits" });
  await append({ localId: "later", scheduledAt: Date.now() + 9_000 });
  const presence = { ...PRESENT, active: false };
  const end = async (sweeps: boolean) => granted(await store.endSession({ key, at: 77, sweeps, presence }));
  expect((await end(false)).sweptLocalIds).toEqual([]);
  const ended = await end(true);
  expect(ended).toMatchObject({ sweptLocalIds: ["waits"], row: { presence: { active: false } } });
  expect(all.sql("SELECT active, active_at FROM sessions")).toEqual([{ active: 0, active_at: 77 }]);
  expect((await end(true)).sweptLocalIds).toEqual([]);
});

const PRESENT = {
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

test("an export has every message by position, read as it is written", async () => {
  await history();
  const exported = granted(await store.exportMessages(key));
  expect(exported.count).toBe(8);
  expect((await Array.fromAsync<MessageRow>(exported.messages.rows)).map(({ seq }) => seq)).toEqual([
    1, 2, 3, 4, 5, 6, 7, 8,
  ]);
});
