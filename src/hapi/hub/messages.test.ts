// Messages of both sides: stored once, told in the order of the recordings, and to nobody whom they do not concern.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { openTestHub, type TestHub } from "../../../test/support/hapi-hub.ts";
import type { UpdateEnvelope } from "../realtime/rooms.ts";

let t: TestHub;
let sid: string;
const key = () => ({ namespace: "default", id: sid });
const socket = {};
const said = (message: string) => ({
  role: "agent",
  content: { type: "codex", data: { type: "message", message } },
});

beforeEach(async () => {
  t = openTestHub();
  sid = await t.session();
});
afterEach(() => t.all.close());

const send = (content: unknown, more: Record<string, unknown> = {}) =>
  t.hub.messages.fromCli({ namespace: "default", sid, content, ...more }, socket);

test("a message of a CLI goes to the room's others and to the web; the first content shows the whole session (step 22)", async () => {
  expect(await send(said("hello"))).toBe("ok");
  const [update, full, received] = t.told;
  expect(update).toMatchObject({ to: { session: sid }, except: socket });
  expect(update).toMatchObject({
    envelope: {
      seq: 1,
      body: { t: "new-message", sid, message: { seq: 1, localId: null, content: said("hello") } },
    },
  });
  expect(full).toMatchObject({
    event: { type: "session-updated", data: { id: sid, hasConversationContent: true } },
  });
  expect(received).toMatchObject({
    event: { type: "message-received", message: { seq: 1, content: said("hello") } },
  });
  expect(t.told).toHaveLength(3);
  t.told.length = 0;
  await send(said("again"));
  expect(t.short()).toEqual(["message-received"]);
});

test("a repeated localId stores nothing, and shows the first row again (step 26)", async () => {
  await send(said("once"), { localId: "l" });
  t.told.length = 0;
  await send(said("ignored"), { localId: "l" });
  expect(t.told).toMatchObject([
    { envelope: { seq: 1, body: { message: { content: said("once") } } } },
    { event: { type: "message-received", message: { seq: 1, content: said("once"), invokedAt: null } } },
  ]);
  expect(t.all.sql("SELECT count(*) AS n FROM messages")).toEqual([{ n: 1 }]);
});

test("a session that is not the namespace's own is neither told nor written", async () => {
  const from = (namespace: string, id: string) =>
    t.hub.messages.fromCli({ namespace, sid: id, content: said("x") }, socket);
  expect(await from("other", sid)).toBe("access-denied");
  expect(await from("default", "nobody")).toBe("not-found");
  expect(t.told).toEqual([]);
});

test("a todo list is stored with its message, and told before it", async () => {
  const todos = [{ content: "a", status: "pending", priority: "high", id: "1" }];
  await send({
    role: "agent",
    content: { type: "codex", data: { type: "tool-call", name: "TodoWrite", input: { todos } } },
  });
  const [patch] = t.web();
  expect(patch).toMatchObject({ type: "session-updated", data: { todos: { value: todos } } });
  expect(Object.keys((patch as { data: object }).data).toSorted()).toEqual(["todos", "updatedAt"]);
  expect(await t.store.findSession(key())).toMatchObject({ todos });
});

test("a team is stored with the messages that tell of it, and told before them; two of one moment both count", async () => {
  const use = (name: string, input: object) => ({
    role: "agent",
    content: { type: "codex", data: { type: "tool-call", name, input } },
  });
  await send(use("TeamCreate", { team_name: "T" }));
  const told = t.web();
  const [patch] = told;
  const { teamStateUpdatedAt: version } = (await t.store.findAnySession(sid)) ?? {};
  expect(patch).toMatchObject({
    type: "session-updated",
    data: { teamState: { version, value: { teamName: "T", members: [] } }, updatedAt: version },
  });
  expect(Object.keys((patch as { data: object }).data).toSorted()).toEqual(["teamState", "updatedAt"]);
  expect(told.at(-1)?.type).toBe("message-received");
  const named = ["a", "b", "c"].map((name) => send(use("Task", { team_name: "T", name })));
  await Promise.all(named);
  const row = await t.store.findAnySession(sid);
  expect(row?.teamState).toMatchObject({ members: [{ name: "a" }, { name: "b" }, { name: "c" }] });
  t.told.length = 0;
  await send(use("Bash", {}));
  expect(t.web().map(({ type }) => type)).toEqual(["message-received"]);
  await send(use("TeamDelete", {}));
  expect(t.web()[0]).toMatchObject({ data: { teamState: { value: null } } });
  expect((await t.store.findAnySession(sid))?.teamState).toBe(null);
});

test("how an agent's goal stands is not kept, and what only looks so is", async () => {
  const event = (message: string) => ({
    role: "agent",
    content: { id: "e", type: "event", data: { type: "message", message } },
  });
  for (const state of ["active", "complete", "blocked", "paused", "cleared"]) {
    expect(await send(event(` Goal ${state}`), { localId: state })).toBe("ok");
  }
  expect(t.told).toEqual([]);
  const kept = [event("Goal achieved"), event("goal active"), said("Goal active")];
  for (const content of kept) await send(content);
  const rows = await t.store.firstMessages(sid, 9);
  expect(rows.map(({ seq, content }) => [seq, content.value])).toEqual(
    kept.map((content, at) => [at + 1, content]),
  );
  const other = { namespace: "other", sid, content: event("Goal active") };
  expect(await t.hub.messages.fromCli(other, socket)).toBe("access-denied");
});

test("the claim of a CLI's clock counts within ten minutes, and never for later than now", async () => {
  const at = async (createdAt: unknown, localId?: string) => {
    t.told.length = 0;
    await send(said("x"), { createdAt, localId });
    const received = t.web().find(({ type }) => type === "message-received");
    return (received as { message: { createdAt: number } }).message.createdAt;
  };
  t.wall = Date.now();
  expect(await at(t.wall - 60_000)).toBe(t.wall - 60_000);
  expect(await at(t.wall - 59_000, "with a localId")).toBe(t.wall - 59_000);
  const day = 86_400_000;
  for (const odd of [t.wall + day, t.wall - day, "x", Number.NaN]) {
    expect(Math.abs((await at(odd)) - Date.now())).toBeLessThan(5_000);
  }
});

test("a message of a person is stored, handed to the whole room and told, then the session thinks (step 30)", async () => {
  await send(said("hello"));
  await t.alive(sid);
  t.told.length = 0;
  expect(await t.hub.messages.post({ session: key(), text: "do it", localId: "w1" })).toEqual({ ok: true });
  await t.settled();
  const [update] = t.told;
  expect(update).toMatchObject({ to: { session: sid }, except: undefined });
  const { envelope } = t.told.find(({ to }) => to !== "web") as { envelope: UpdateEnvelope };
  const { message } = envelope.body as unknown as { message: { id: string; content: unknown } };
  expect(envelope.id).toBe(message.id);
  expect(message.content).toEqual({
    role: "user",
    content: { type: "text", text: "do it" },
    meta: { sentFrom: "webapp", deliveryMode: "queue" },
  });
  const ms = expect.any(Number);
  expect(t.short()).toEqual([
    ["session-updated", { updatedAt: ms }],
    "message-received",
    ["session-updated", { thinking: true, activeTurnStartedAt: ms, updatedAt: ms }],
    ["session-updated", { updatedAt: ms }],
  ]);
});

test("what cannot be posted is refused, and stores nothing", async () => {
  const post = (more: object) => t.hub.messages.post({ session: key(), text: "x", ...more });
  expect(await post({})).toEqual({ ok: false, code: "inactive", error: "Session is inactive" });
  await t.alive(sid);
  expect(await post({ text: "" })).toMatchObject({
    code: "invalid",
    error: "Message requires text or attachments",
  });
  expect(await post({ scheduledAt: t.wall + 1 })).toMatchObject({
    error: "Invalid body",
    fieldErrors: { localId: [expect.any(String)] },
  });
  expect(await post({ session: { namespace: "other", id: sid } })).toMatchObject({
    code: "access-denied",
    error: "Session access denied",
  });
  expect(t.all.sql("SELECT count(*) AS n FROM messages")).toEqual([{ n: 0 }]);
});

test("a repeat of a message that its CLI has taken is shown, and not done again", async () => {
  await t.alive(sid);
  const post = () => t.hub.messages.post({ session: key(), text: "x", localId: "w" });
  await post();
  await post();
  await t.settled();
  expect(t.cli()).toHaveLength(2);
  await t.hub.queue.consumed({ session: key(), localIds: ["w"] }, socket);
  t.told.length = 0;
  await post();
  await t.settled();
  expect(t.cli()).toEqual([]);
});

test("a repeat of a message that the agent may have is shown as in doubt, and not handed out again", async () => {
  await t.alive(sid);
  const post = () => t.hub.messages.post({ session: key(), text: "x", localId: "w" });
  await post();
  await t.hub.queue.steerState(key(), ["w"], "dispatching", socket);
  t.told.length = 0;
  await post();
  await t.settled();
  expect(t.told).toMatchObject([
    { event: { type: "message-received", message: { localId: "w", deliveryState: "indeterminate" } } },
    { event: { type: "session-updated" } },
  ]);
});

test("a repeat sets no client back, and since when a CLI thinks is its own word", async () => {
  await t.alive(sid);
  const post = (localId: string) => t.hub.messages.post({ session: key(), text: "x", localId });
  await post("w");
  await t.settled();
  t.told.length = 0;
  await post("w");
  await t.settled();
  const ms = expect.any(Number);
  expect(t.short()).toEqual([
    "message-received",
    ["session-updated", { thinking: true, activeTurnStartedAt: ms }],
  ]);
  await t.alive(sid, { thinking: true });
  await t.alive(sid, { thinking: false });
  await t.alive(sid, { thinking: true });
  t.told.length = 0;
  await post("later");
  await t.settled();
  expect(t.short()).toContainEqual([
    "session-updated",
    { thinking: true, activeTurnStartedAt: null, updatedAt: ms },
  ]);
});

test("a message for later is shown and held back; one that is late goes at once", async () => {
  await t.alive(sid);
  t.told.length = 0;
  const post = (localId: string, scheduledAt: number) =>
    t.hub.messages.post({ session: key(), text: "x", localId, scheduledAt });
  await post("later", t.wall + 60_000);
  await t.settled();
  expect(t.told.filter(({ to }) => to !== "web")).toEqual([]);
  expect(t.hub.core.sessions.get(sid)?.presence.thinking).toBeFalse();
  expect(t.short()).toContainEqual("message-received");
  await post("late", t.wall - 1);
  expect(t.cli()).toMatchObject([{ envelope: { body: { message: { localId: "late" } } } }]);
});

test("messages that arrive in one turn are told in their order", async () => {
  await Promise.all(["a", "b", "c"].map((text) => send(said(text))));
  const seqs = t
    .web()
    .flatMap((event) => (event.type === "message-received" ? [(event.message as { seq: number }).seq] : []));
  expect(seqs).toEqual([1, 2, 3]);
});
