// Sessions are made once for a tag, are nobody's but their namespace's, and keep what nobody asked to change.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { granted, openTestHapiStore, type TestHapiStore } from "../../../test/support/hapi-store.ts";
import type { HapiStore } from "./contract.ts";

let all: TestHapiStore;
let store: HapiStore;
beforeEach(() => {
  all = openTestHapiStore();
  store = all.store;
});
afterEach(() => all.close());

const key = (id: string, namespace = "default") => ({ namespace, id });
const metadata = { path: "/p", host: "h", unknown: { kept: [1] } };

test("a tag makes one session, which is given back unchanged, also when many ask at once", async () => {
  const open = (host: string) =>
    store.openSession({ namespace: "default", tag: "t", metadata: { host }, agentState: null });
  const opened = await Promise.all(["a", "b", "c"].map(open));
  expect(opened.map(({ kind }) => kind)).toEqual(["created", "found", "found"]);
  const rows = opened.map((one) => ("row" in one ? one.row : undefined));
  expect(new Set(rows.map((row) => row?.id)).size).toBe(1);
  expect(rows[2]).toMatchObject({
    metadata: { host: "a" },
    agentState: null,
    metadataVersion: 1,
    agentStateVersion: 1,
    seq: 0,
    hasConversationContent: false,
    presence: undefined,
    todosUpdatedAt: 0,
    pinned: false,
  });
  expect(all.sql("SELECT agent_state, active FROM sessions")).toEqual([{ agent_state: null, active: 0 }]);
});

test("the same tag is another session in another namespace", async () => {
  const [a, b] = [await all.session("t", "a"), await all.session("t", "b")];
  expect(a).not.toBe(b);
  expect(await store.findSession(key(a, "b"))).toBe("access-denied");
  expect(await store.findSession(key("nobody"))).toBe("not-found");
  expect((await store.listSessions("a")).map(({ id }) => id)).toEqual([a]);
});

test("an id is one tag's, and a tag is one id's", async () => {
  const [one, other] = [crypto.randomUUID(), crypto.randomUUID()];
  const open = (tag: string, id: string, namespace = "default") =>
    store.openSession({ namespace, tag, id, metadata });
  expect(await open("t", one)).toMatchObject({ kind: "created", row: { id: one } });
  expect(await open("t", one)).toMatchObject({ kind: "found", row: { id: one } });
  expect(await open("t", other)).toEqual({ kind: "tag-bound" });
  expect(await open("u", one)).toEqual({ kind: "id-bound" });
  expect(await open("t", one, "else")).toEqual({ kind: "id-bound" });
});

test("a machine is registered with the session, or neither is made", async () => {
  const machine = { id: "m", metadata: { host: "h" } };
  const open = (tag: string, namespace: string) => store.openSession({ namespace, tag, metadata, machine });
  expect(await open("t", "a")).toMatchObject({
    kind: "created",
    machine: { kind: "created", row: { id: "m" } },
  });
  expect(await open("t", "b")).toEqual({ kind: "machine-denied" });
  expect(await store.listSessions("b")).toEqual([]);
});

test("compare-and-swap stores from the version that was read, tells the winner otherwise, and merges what it is asked to", async () => {
  const id = await all.session("t", "default", metadata);
  const announced: unknown[] = [];
  const change = (expectedVersion: number, value: unknown) =>
    store.changeMetadata({ key: key(id), expectedVersion, value }, (result) => announced.push(result));
  const results = await Promise.all([change(1, { path: "/q" }), change(1, { path: "/r" })]);
  expect(results[0]).toMatchObject({ kind: "success", version: 2, value: { path: "/q" }, row: { seq: 1 } });
  expect(results[1]).toEqual({ kind: "version-mismatch", version: 2, value: { path: "/q" } });
  expect(announced).toEqual(results);
  const merged = await store.changeMetadata({
    key: key(id),
    expectedVersion: 2,
    value: { host: "h" },
    merge: (stored, given) => ({ ...(stored as object), ...(given as object) }),
  });
  expect(merged).toMatchObject({ version: 3, value: { path: "/q", host: "h" } });
  const state = { key: key(id), expectedVersion: 1, value: null };
  expect(await store.changeAgentState(state)).toMatchObject({ kind: "success", version: 2, value: null });
  expect(await store.changeAgentState({ ...state, key: key(id, "x") })).toBe("access-denied");
  expect(all.sql("SELECT agent_state, metadata_version, agent_state_version, seq FROM sessions")).toEqual([
    { agent_state: null, metadata_version: 3, agent_state_version: 2, seq: 3 },
  ]);
});

test("an edit keeps unknown keys, leaves updatedAt when it is a rename, and does nothing when nothing changes", async () => {
  const id = await all.session("t", "default", metadata);
  await all.write("UPDATE sessions SET updated_at = 5");
  const rename = (name: string, expectedVersion?: number) =>
    store.editMetadata({
      key: key(id),
      edit: (stored) => ({ ...(stored as object), name }),
      expectedVersion,
    });
  expect(await rename("n")).toMatchObject({
    kind: "changed",
    row: { metadata: { ...metadata, name: "n" }, metadataVersion: 2, updatedAt: 5 },
  });
  expect(await rename("n")).toMatchObject({ kind: "unchanged", row: { metadataVersion: 2 } });
  expect(await rename("o", 1)).toMatchObject({ kind: "conflict", row: { metadataVersion: 2 } });
  expect(await store.editMetadata({ key: key(id), edit: () => undefined })).toMatchObject({
    kind: "unchanged",
  });
  const touched = await store.editMetadata({ key: key(id), edit: () => ({ a: 1 }), touches: true });
  expect(granted(touched).row.updatedAt).toBeGreaterThan(5);
});

test("plain columns change alone; todos only go forward in time, and carry the session along", async () => {
  const id = await all.session("t");
  const set = async (columns: Parameters<HapiStore["setSessionColumns"]>[1]) =>
    granted(await store.setSessionColumns(key(id), columns));
  expect(await set({ model: "opus", pinned: true })).toMatchObject({
    changed: true,
    row: { model: "opus", pinned: true, globalPinned: false, effort: null, seq: 0 },
  });
  expect((await set({ model: "opus", pinned: true })).changed).toBe(false);
  expect((await set({ model: null })).row.model).toBeNull();
  const later = Date.now() + 60_000;
  const todos = [{ content: "c", status: "pending", priority: "high", id: "1" }];
  expect((await set({ todos: { value: todos, at: later } })).row).toMatchObject({
    todos,
    todosUpdatedAt: later,
    updatedAt: later,
    seq: 1,
  });
  expect(await set({ todos: { value: [], at: later } })).toMatchObject({ changed: false, row: { todos } });
});

test("text that is no JSON reads as null and is stored on until somebody changes it", async () => {
  const id = await all.session("t");
  await all.write("UPDATE sessions SET metadata = '{broken', agent_state = 'null', todos = 'x'");
  expect(await store.findSession(key(id))).toMatchObject({ metadata: null, agentState: null, todos: null });
});

test("a session is found by the beginning of its id, unless two begin so", async () => {
  for (const id of ["aaaa-1", "aaaa-2", "bbbb-1"])
    await store.openSession({ namespace: "default", tag: id, id, metadata });
  expect((await store.findSessionByPrefix("default", "bbbb"))?.id).toBe("bbbb-1");
  expect(await store.findSessionByPrefix("default", "aaaa")).toBeUndefined();
  expect(await store.findSessionByPrefix("other", "bbbb")).toBeUndefined();
});

test("the list has scheduled messages counted, newest change first", async () => {
  const [a, b] = [await all.session("a"), await all.session("b")];
  await all.write("UPDATE sessions SET updated_at = CASE id WHEN ? THEN 2 ELSE 1 END", a);
  const later = Date.now() + 60_000;
  for (const [localId, scheduledAt] of [
    ["x", later + 5],
    ["y", later],
    ["z", 5],
    ["w", null],
  ] as const)
    await store.appendMessage({ session: key(b), content: {}, localId, scheduledAt });
  const rows = await store.listSessions("default");
  expect(rows.map((row) => [row.id, row.futureScheduledMessageCount, row.nextScheduledAt])).toEqual([
    [a, 0, null],
    [b, 2, later],
  ]);
  expect((await store.listSessions("default", { limit: 1 })).length).toBe(1);
});

test("a deleted session takes everything with it, however long it was, and others keep theirs", async () => {
  const [a, b] = [await all.session("a"), await all.session("b")];
  for (const id of [a, b]) {
    await store.appendMessage({ session: key(id), content: "x", localId: null });
    await store.addScratch(key(id), { text: "n", attachments: [] }, 9);
  }
  await all.write(
    `INSERT INTO messages (id, session_id, content, created_at, seq)
     SELECT 'm' || value, ?, '1', 1, value + 9 FROM generate_series(1, 5000)`.replace(
      "generate_series(1, 5000)",
      "(WITH RECURSIVE n(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE value < 5000) SELECT value FROM n)",
    ),
    a,
  );
  expect(await store.deleteSession(key(a, "x"))).toBe("access-denied");
  expect(await store.deleteSession(key(a))).toMatchObject({ row: { id: a } });
  expect(await store.deleteSession(key(a))).toBe("not-found");
  for (const table of ["messages", "session_scratchlist", "roost_sessions"])
    expect(all.sql(`SELECT DISTINCT session_id FROM ${table}`)).toEqual([{ session_id: b }]);
});

test("what sessions of agents there are is read in turns, and the rest of the metadata is left", async () => {
  for (let at = 0; at < 20; at++)
    await all.session(`t${at}`, "large", { claudeSessionId: `c${at}`, pad: "x".repeat(200_000) });
  let turns = 0;
  const timer = setInterval(() => turns++);
  const rows = await store.listAgentSessions("large", ["claudeSessionId", "codexSessionId"]);
  clearInterval(timer);
  expect(rows.map(({ metadata }) => metadata)).toEqual(
    Array.from({ length: 20 }, () => ({
      claudeSessionId: expect.stringMatching(/^c\d+$/),
      codexSessionId: null,
    })),
  );
  expect(new Set(rows.map(({ id }) => id)).size).toBe(20);
  expect(turns).toBeGreaterThan(2);
});
