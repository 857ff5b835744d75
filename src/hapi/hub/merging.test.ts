// Two sessions of one agent session become one: when, which of them stays, what goes over, and what everybody is told.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { openTestHub, PLACE, TestHub } from "../../../test/support/hapi-hub.ts";
import { openTestHapiStore } from "../../../test/support/hapi-store.ts";

let t: TestHub;
beforeEach(() => {
  t = openTestHub();
});
afterEach(() => t.all.close());

const key = (id: string, namespace = "default") => ({ namespace, id });
const user = (text: string) => ({ role: "user", content: { type: "text", text } });
const say = (id: string, text: string, localId?: string) =>
  t.hub.messages.fromCli({ namespace: "default", sid: id, content: user(text), localId }, {});
/** A session of this agent session that has said something; its CLI was there, or is. */
async function session(name: string, more: object, isActive = false): Promise<string> {
  const id = await t.session(name, { ...PLACE, ...more });
  await t.alive(id);
  if (!isActive) await end(id);
  await say(id, name);
  return id;
}
const end = async (id: string) => {
  await t.hub.lifecycle.end({ session: key(id), time: t.wall });
  await t.settled();
};
async function write(id: string, more: object): Promise<void> {
  const row = await t.store.findAnySession(id);
  await t.hub.values.metadata({
    namespace: "default",
    id,
    expectedVersion: row?.metadataVersion ?? 1,
    value: { ...PLACE, ...more },
    socket: {},
    acknowledge: () => {},
  });
  await t.settled();
}
const texts = async (id: string) =>
  (await t.store.firstMessages(id, 20)).map(({ seq, localId, content }) => [
    seq,
    localId,
    (content.value as ReturnType<typeof user>).content.text,
  ]);
const isThere = async (id: string) => (await t.store.findAnySession(id)) !== undefined;

test("a write that names another's agent session takes up its history, and everybody is told in order", async () => {
  const old = await session("old", {
    claudeSessionId: "c",
    name: "Mine",
    summary: { text: "S", updatedAt: 5 },
  });
  await say(old, "both", "both");
  await t.store.setSessionColumns(key(old), {
    model: "opus",
    pinned: true,
    todos: { value: [{ content: "t", status: "pending" }], at: 7 },
    teamState: { value: { teamName: "T" }, at: 8 },
  });
  await t.store.addScratch(key(old), { text: "note", attachments: [] }, 9);
  const next = await session("new", {}, true);
  await say(next, "both again", "both");
  t.told.length = 0;
  await write(next, { claudeSessionId: "c" });
  expect(t.short()).toMatchObject([
    ["session-updated", { metadata: { version: 2 } }],
    "messages-invalidated",
    ["session-updated", { scratchlistUpdatedAt: expect.any(Number) }],
    "session-removed",
    ["session-updated", "full"],
  ]);
  expect(await isThere(old)).toBe(false);
  expect(await t.store.findAnySession(next)).toMatchObject({
    metadata: { ...PLACE, claudeSessionId: "c", name: "Mine", summary: { text: "S", updatedAt: 5 } },
    metadataVersion: 3,
    model: "opus",
    pinned: true,
    todos: [{ content: "t" }],
    teamState: { teamName: "T" },
  });
  expect(await texts(next)).toEqual([
    [1, null, "old"],
    [2, null, "both"],
    [3, null, "new"],
    [4, "both", "both again"],
  ]);
  expect(await t.store.pageMessages(key(next), { direction: "latest", limit: 1 })).toMatchObject({
    page: { epoch: 1 },
  });
  expect(await t.store.listScratch(key(next))).toMatchObject({ entries: [{ text: "note" }] });
});

test("its CLI hears of what the merge changed when it writes next, and takes nothing back", async () => {
  await session("old", { claudeSessionId: "c", name: "Mine" });
  const next = await session("new", {}, true);
  await write(next, { claudeSessionId: "c" });
  const acks: unknown[] = [];
  await t.hub.values.metadata({
    namespace: "default",
    id: next,
    expectedVersion: 2,
    value: { ...PLACE, claudeSessionId: "c", tools: [] },
    socket: {},
    acknowledge: (ack) => acks.push(ack),
  });
  expect(acks).toMatchObject([{ result: "version-mismatch", version: 3, metadata: { name: "Mine" } }]);
});

describe("which stays", () => {
  test("who is at work, whoever wrote", async () => {
    const active = await session("active", { claudeSessionId: "c" }, true);
    const writer = await session("writer", {});
    await write(writer, { claudeSessionId: "c" });
    expect([await isThere(active), await isThere(writer)]).toEqual([true, false]);
    expect(await texts(active)).toEqual([
      [1, null, "writer"],
      [2, null, "active"],
    ]);
  });

  test("of three at rest the one that was written", async () => {
    const [a, b, c] = [
      await t.session("a", { ...PLACE, claudeSessionId: "c", name: "A" }),
      await t.session("b", { ...PLACE, claudeSessionId: "c" }),
      await t.session("c"),
    ];
    for (const id of [a, b, c]) await say(id, id);
    await write(c, { claudeSessionId: "c" });
    expect([await isThere(a), await isThere(b), await isThere(c)]).toEqual([false, false, true]);
    expect(await texts(c)).toHaveLength(3);
    expect(await t.store.findAnySession(c)).toMatchObject({ metadata: { name: "A" } });
  });

  test("both while both are at work; when one ends, or is not heard any more, it goes over", async () => {
    for (const leave of [end, (id: string) => expire(id)]) {
      const a = await session("a", { claudeSessionId: "c" }, true);
      const b = await session("b", {}, true);
      await write(b, { claudeSessionId: "c" });
      expect([await isThere(a), await isThere(b)]).toEqual([true, true]);
      t.told.length = 0;
      await leave(a);
      expect([await isThere(a), await isThere(b)]).toEqual([false, true]);
      expect(
        t
          .web()
          .map(({ type }) => type)
          .slice(-3),
      ).toEqual(["messages-invalidated", "session-removed", "session-updated"]);
      await t.store.deleteSession(key(b));
    }
    async function expire(id: string): Promise<void> {
      t.pass(40_000);
      for (const { id: other } of [...t.hub.core.sessions.all]) if (other !== id) await t.alive(other);
      t.hub.sessionPresence.sweep();
      await t.settled();
    }
  });

  test("a session whose CLI has just connected is not taken from under it", async () => {
    const coming = await t.session("coming", { ...PLACE, claudeSessionId: "c" });
    t.rooms.set(coming, () => undefined);
    const writer = await session("writer", {}, true);
    await write(writer, { claudeSessionId: "c" });
    await t.alive(coming);
    expect([await isThere(coming), await isThere(writer)]).toEqual([true, true]);
    await end(writer);
    expect([await isThere(coming), await isThere(writer)]).toEqual([true, false]);
  });

  test("what /clear has in hand stays as it is", async () => {
    const old = await session("old", { claudeSessionId: "c", supersededBySessionId: "x" });
    const next = await session("new", {}, true);
    await write(next, { claudeSessionId: "c" });
    expect(await isThere(old)).toBe(true);
  });

  test("another agent's, another namespace's, and Kimi's stay", async () => {
    const codex = await session("codex", { codexSessionId: "c", flavor: "codex" });
    const kimi = await session("kimi", { kimiSessionId: "k", flavor: "kimi" });
    const theirs = await t.session("theirs", { ...PLACE, claudeSessionId: "c" }, "other");
    const next = await session("new", {}, true);
    await write(next, { claudeSessionId: "c" });
    const second = await session("second", {}, true);
    await write(second, { kimiSessionId: "k", flavor: "kimi" });
    for (const id of [codex, kimi, theirs, next, second]) expect(await isThere(id)).toBe(true);
  });
});

test("requests that nobody can answer any more are canceled, answered ones are shown on", async () => {
  const old = await session("old", { claudeSessionId: "c" });
  const request = { tool: "Bash", arguments: {}, createdAt: 1 };
  const state = (id: string, value: unknown) =>
    t.store.changeAgentState({ key: key(id), expectedVersion: 1, value });
  await state(old, {
    controlledByUser: true,
    requests: { open: request, mine: request },
    completedRequests: { done: { ...request, status: "approved" } },
  });
  const next = await session("new", {}, true);
  await state(next, { controlledByUser: false, requests: { mine: request } });
  await write(next, { claudeSessionId: "c" });
  expect(await t.store.findAnySession(next)).toMatchObject({
    agentStateVersion: 3,
    agentState: {
      controlledByUser: false,
      requests: { mine: request },
      completedRequests: {
        open: { ...request, status: "canceled", completedAt: t.wall },
        done: { ...request, status: "approved" },
      },
    },
  });
});

test("what waited for the old CLI is told to the one that is there, once; what is scheduled comes in its time", async () => {
  const old = await session("old", { claudeSessionId: "c" });
  await say(old, "waits", "w");
  await t.store.appendMessage({
    session: key(old),
    content: user("later"),
    localId: "l",
    scheduledAt: Date.now() + 60_000,
  });
  const next = await session("new", {}, true);
  t.told.length = 0;
  await write(next, { claudeSessionId: "c" });
  const sent = t.cli().filter(({ envelope }) => envelope.body.t === "new-message");
  expect(sent).toMatchObject([
    { to: { session: next }, envelope: { body: { sid: next, message: { localId: "w", seq: 2 } } } },
  ]);
  t.rooms.set(next, () => undefined);
  t.pass(120_000);
  await t.alive(next);
  t.told.length = 0;
  await t.hub.scheduled.tick();
  expect(t.cli()).toMatchObject([
    { to: { session: next }, envelope: { body: { message: { localId: "l" } } } },
  ]);
});

test("what a crash left undone is done when the session is heard again", async () => {
  const all = openTestHapiStore();
  try {
    const ids = ["old", "new"].map((tag) => all.session(tag, "default", { ...PLACE, claudeSessionId: "c" }));
    const [old = "", next = ""] = await Promise.all(ids);
    const cut = Object.assign(Object.create(all.store), { mergeSessions: () => new Promise(() => {}) });
    await new TestHub(all, cut).alive(next);
    expect(await all.store.findAnySession(old)).toBeDefined();
    const again = new TestHub(all);
    await again.hub.start();
    again.hub.stop();
    await again.alive(next);
    expect(await all.store.findAnySession(old)).toBeUndefined();
  } finally {
    all.close();
  }
});

test("a merge that fails leaves both as they were", async () => {
  const old = await session("old", { claudeSessionId: "c" });
  const next = await session("new", {}, true);
  t.all.database.writer.run((db) => {
    db.$client.run(
      "CREATE TEMP TRIGGER stop BEFORE DELETE ON main.sessions BEGIN SELECT RAISE(ABORT, 'cut'); END",
    );
  });
  await write(next, { claudeSessionId: "c" });
  expect(await texts(old)).toHaveLength(1);
  expect(await texts(next)).toEqual([[1, null, "new"]]);
  expect(t.lines.join()).toContain("could not be merged");
  expect(t.web().map(({ type }) => type)).not.toContain("session-removed");
});
