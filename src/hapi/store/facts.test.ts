// Our counts are true for what another hub wrote, once they are caught up, and nothing is hidden before.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { openTestHapiStore, type TestHapiStore } from "../../../test/support/hapi-store.ts";
import { isConversation } from "./conversation.ts";
import type { SessionRow } from "./rows.ts";

let all: TestHapiStore;
beforeEach(() => {
  all = openTestHapiStore();
});
afterEach(() => all.close());

const user = JSON.stringify({ role: "user", content: { type: "text", text: "hi" } });
/** As another hub does it. */
const foreign = (session: string, seq: number, content: string) =>
  all.write(
    "INSERT INTO messages (id, session_id, content, created_at, seq, invoked_at) VALUES (?, ?, ?, 1, ?, 1)",
    `${session}-${seq}`,
    session,
    content,
    seq,
  );
const facts = (id: string) =>
  all.sql(
    "SELECT messages, last_seq AS last, bytes, has_content AS content FROM roost_sessions WHERE session_id = ?",
    id,
  )[0];
const shows = async (id: string) => (await all.store.findAnySession(id))?.hasConversationContent;

test("a session of another hub is shown until it is counted, and then as it is", async () => {
  for (const id of ["empty", "visible", "deep"])
    await all.write("INSERT INTO sessions (id, created_at, updated_at) VALUES (?, 1, 1)", id);
  await foreign("visible", 3, user);
  for (let seq = 1; seq <= 120; seq++) await foreign("deep", seq, seq === 120 ? user : "1");
  expect([await shows("empty"), await shows("visible"), await shows("deep")]).toEqual([true, true, true]);
  await all.store.catchUp();
  expect([await shows("empty"), await shows("visible"), await shows("deep")]).toEqual([false, true, true]);
  expect(facts("visible")).toEqual({ messages: 1, last: 3, bytes: 256 + user.length, content: 1 });
  expect(facts("deep")).toMatchObject({ messages: 120, last: 120, content: 1 });
});

test("rows that another hub added or deleted are counted, and a seq that we gave out is not given again", async () => {
  const id = await all.session("t");
  const key = { namespace: "default", id };
  await all.store.appendMessage({ session: key, content: 1, localId: null });
  await all.store.appendMessage({ session: key, content: 1, localId: null });
  await all.write("DELETE FROM messages WHERE seq = 2");
  await all.store.catchUp();
  expect(facts(id)).toEqual({ messages: 1, last: 2, bytes: 257, content: 0 });
  await foreign(id, 2, user);
  await foreign(id, 3, "1");
  await all.store.catchUp();
  expect(facts(id)).toMatchObject({ messages: 3, last: 3, content: 1 });
});

test("catching up reads nothing again where nothing happened", async () => {
  const id = await all.session("t");
  await all.store.appendMessage({ session: { namespace: "default", id }, content: 1, localId: null });
  await all.write("UPDATE roost_sessions SET bytes = 7");
  await all.store.catchUp();
  expect(facts(id)).toMatchObject({ bytes: 7 });
});

test("a message into a session that nobody counted counts it", async () => {
  await all.write("INSERT INTO sessions (id, created_at, updated_at) VALUES ('s', 1, 1)");
  await foreign("s", 5, user);
  const stored = await all.store.appendMessage({
    session: { namespace: "default", id: "s" },
    content: 1,
    localId: null,
  });
  expect(stored).toMatchObject({ isFirstContent: false, message: { seq: 6 } });
  expect(facts("s")).toMatchObject({ messages: 2, last: 6, content: 1 });
});

const output = (data: object) => ({ role: "agent", content: { type: "output", data } });
const assistant = (content: unknown) => output({ type: "assistant", message: { content } });
const codex = (data: object) => ({ role: "agent", content: { type: "codex", data } });

/** As the released hub 0.30.7 answered, kind by kind. */
test.each<[boolean, unknown]>([
  [true, { role: "user", content: { type: "text", text: "hi" } }],
  [false, { role: "user", content: { type: "text", text: "  " } }],
  [true, { role: "user", content: { type: "text", text: "", attachments: [{ id: "a" }] } }],
  [true, { role: "user", content: "x" }],
  [false, { role: "user", content: " " }],
  [true, { role: "user", content: [{ type: "text", text: "x" }] }],
  [false, { role: "user", content: { text: "x" } }],
  [true, assistant([{ type: "text", text: "x" }])],
  [true, assistant("x")],
  [true, assistant([{ type: "tool_use", id: "t", name: "Bash", input: {} }])],
  [true, assistant([{ type: "thinking", thinking: "x" }])],
  [false, assistant([])],
  [false, assistant([{ type: "text", text: "" }])],
  [false, assistant([{ type: "foo" }])],
  [false, output({ type: "assistant" })],
  [true, output({ type: "user", message: { content: [{ type: "tool_result", tool_use_id: "t" }] } })],
  [false, output({ type: "system", subtype: "init" })],
  [false, output({ type: "summary", summary: "s" })],
  [true, codex({ type: "message", message: "x" })],
  [false, codex({ type: "message", message: "" })],
  [true, codex({ type: "reasoning", message: "x" })],
  [true, codex({ type: "tool-call", name: "x", callId: "1" })],
  [false, codex({ type: "tool-call" })],
  [true, codex({ type: "tool-call-result", callId: "1", output: "x" })],
  [true, codex({ type: "plan", entries: [{ content: "a" }] })],
  [false, codex({ type: "plan", entries: [] })],
  [false, codex({ type: "token_count", info: {} })],
  [false, { role: "agent", content: { id: "1", type: "event", data: { type: "ready" } } }],
  [false, { role: "agent", content: "x" }],
  [false, "hello"],
  [false, null],
])("visible content: %p for %j", (isVisible, content) => {
  expect(isConversation(content)).toBe(isVisible);
});

describe("todos of a session that another hub left without", () => {
  const list = (text: string) => JSON.stringify({ todos: text });
  const told: SessionRow[] = [];
  const backfill = {
    todosIn: (content: unknown) => (content as { todos?: unknown } | null)?.todos,
    told: (row: SessionRow) => told.push(row),
  };
  const leave = (id: string) =>
    all.write("INSERT INTO sessions (id, created_at, updated_at) VALUES (?, 1, 1)", id);
  beforeEach(() => {
    told.length = 0;
  });

  test("the newest of its last 200 messages that carries some gives them, at its time", async () => {
    for (const id of ["near", "far", "none"]) await leave(id);
    await foreign("near", 1, list("old"));
    await foreign("near", 2, list("new"));
    for (let seq = 3; seq <= 201; seq++) await foreign("near", seq, "1");
    await foreign("far", 1, list("far"));
    for (let seq = 2; seq <= 201; seq++) await foreign("far", seq, "1");
    await foreign("none", 1, user);
    await all.store.catchUp(backfill);
    const { todos, todosUpdatedAt } = (await all.store.findAnySession("near")) ?? {};
    const [row] = all.sql("SELECT created_at AS at FROM messages WHERE session_id = 'near' AND seq = 2");
    expect([todos, todosUpdatedAt]).toEqual(["new", row?.at]);
    for (const id of ["far", "none"])
      expect(await all.store.findAnySession(id)).toMatchObject({ todos: null, todosUpdatedAt: 0 });
    expect(told.map(({ id }) => id)).toEqual(["near"]);
    await all.store.catchUp(backfill);
    expect(told).toHaveLength(1);
  });

  test("those that it has stay, and a list that is too large keeps nobody from theirs", async () => {
    for (const id of ["a", "b", "c"]) await leave(id);
    await all.write(`UPDATE sessions SET todos = '"mine"', todos_updated_at = 1 WHERE id = 'a'`);
    await foreign("a", 1, list("other"));
    await foreign("b", 1, list("x".repeat(9 * 1024 * 1024)));
    await foreign("c", 1, list("c"));
    await all.store.catchUp(backfill);
    const todos = await Promise.all(
      ["a", "b", "c"].map(async (id) => (await all.store.findAnySession(id))?.todos),
    );
    expect(todos).toEqual(["mine", null, "c"]);
    expect(facts("b")).toMatchObject({ messages: 1 });
  });
});
