// When people are told, on a real store: how long a request waits for more, what counts as new, what is forgotten and what is not.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { openTestHapiStore, type TestHapiStore } from "../../../test/support/hapi-store.ts";
import { until } from "../../../test/support/until.ts";
import type { Json } from "../store/rows.ts";
import { cliMessageView } from "../wire/message.ts";
import type { Notice } from "./notice.ts";
import { NotificationRules } from "./rules.ts";

let all: TestHapiStore;
let id: string;
let rules: NotificationRules;
let told: Notice[];
let failures: unknown[];
let active: boolean;
let steady: number;
let version: number;

const open = (debounceMs = 30) =>
  new NotificationRules({
    store: all.store,
    isActive: () => active,
    tell: (notice) => told.push(notice),
    failed: (error) => failures.push(error),
    debounceMs,
    steady: () => steady,
  });
beforeEach(async () => {
  all = openTestHapiStore();
  [told, failures, active, steady, version] = [[], [], true, 0, 1];
  id = await all.session("t", "default", { path: "/home/u/demo", host: "h", flavor: "claude" });
  rules = open();
});
afterEach(() => {
  rules.stop();
  expect(failures).toEqual([]);
  return all.close();
});

const to = () => ({ namespace: "default", sessionId: id });
const request = (tool: string, given: Json = {}) => ({ tool, arguments: given });

async function asks(requests: Record<string, Json>): Promise<void> {
  const changed = await all.store.changeAgentState({
    key: { namespace: "default", id },
    expectedVersion: version++,
    value: { requests },
  });
  if (typeof changed === "string" || changed.kind !== "success") throw new Error("not stored");
  const agentState = { version: changed.version, value: changed.value };
  rules.heard({ type: "session-updated", ...to(), data: { agentState, updatedAt: 1 } });
}
async function says(data: Json): Promise<string> {
  const content = { role: "agent", content: data };
  const session = { namespace: "default", id };
  const appended = await all.store.appendMessage({ session, content, localId: null, touches: false });
  if (typeof appended === "string") throw new Error(appended);
  rules.heard({ type: "message-received", ...to(), message: cliMessageView(appended.message) });
  return appended.message.id;
}
const ready = () => says({ type: "event", data: { type: "ready" } });
const isAlive = () => rules.heard({ type: "session-updated", ...to(), data: { active: true } });
const isGone = () => {
  active = false;
  rules.heard({ type: "session-updated", ...to(), data: { active: false } });
};
const kinds = () => told.map((notice) => notice.kind);
/** Long enough that what would have come has come. */
const quiet = () => Bun.sleep(120);

describe("a request", () => {
  test("is told once, after a pause, and what is new later is told again by the first that waits", async () => {
    await asks({ a: request("Bash") });
    await until("the notice", () => told.length === 1);
    await asks({ a: request("Bash") });
    await quiet();
    expect(told).toMatchObject([{ kind: "permission", requestId: "a", event: ["request", "a"] }]);
    await asks({ a: request("Bash"), b: request("Edit") });
    await until("the second", () => told.length === 2);
    expect(told[1]).toMatchObject({ requestId: "a", event: ["request", "b"] });
  });

  test("that is followed by others waits for the last, but not for ever", async () => {
    rules = open(300);
    await asks({ a: request("Bash") });
    await Bun.sleep(100);
    expect(told).toEqual([]);
    steady = 4_999;
    await asks({ a: request("Bash"), b: request("Bash") });
    await until("the notice", () => told.length === 1, 250);
    expect(told[0]?.event).toEqual(["request", "a", "b"]);
  });

  test("that was answered meanwhile is not told", async () => {
    await asks({ a: request("Bash") });
    await asks({});
    await quiet();
    expect(told).toEqual([]);
  });

  test("for words is a question, and one for a plan is a permission", async () => {
    await asks({ q: request("AskUserQuestion") });
    await until("the question", () => told.length === 1);
    await asks({ p: request("ExitPlanMode") });
    await until("the plan", () => told.length === 2);
    expect(kinds()).toEqual(["input", "permission"]);
  });

  test("of a session that is not at work is told when it comes to work", async () => {
    active = false;
    await asks({ a: request("Bash") });
    await quiet();
    expect(told).toEqual([]);
    active = true;
    isAlive();
    await until("the notice", () => told.length === 1);
    isAlive();
    await quiet();
    expect(told).toHaveLength(1);
  });

  test("is not told again by a server that started anew, and is by a session that came back", async () => {
    await asks({ a: request("Bash") });
    await until("the notice", () => told.length === 1);
    await until("it is kept", async () => (await all.store.findTold(id)).length === 1);
    rules.stop();
    rules = open();
    isAlive();
    await quiet();
    expect(told).toHaveLength(1);
    isGone();
    await until("it is forgotten", async () => (await all.store.findTold(id)).length === 0);
    active = true;
    isAlive();
    await until("the notice again", () => told.length === 2);
  });
});

test("what is known of a session goes with it, and a request that waits with it", async () => {
  await asks({ a: request("Bash") });
  expect(rules.size).toBe(1);
  isGone();
  expect(rules.size).toBe(0);
  await quiet();
  expect(told).toEqual([]);
  active = true;
  isAlive();
  await until("it is watched", () => rules.size === 1);
  rules.heard({ type: "session-removed", ...to() });
  expect(rules.size).toBe(0);
});

test("ready is told once in five seconds, of a session at work", async () => {
  const first = await ready();
  await ready();
  steady = 4_999;
  await ready();
  await until("the first", () => told.length === 1);
  steady = 5_000;
  const last = await ready();
  await until("the second", () => told.length === 2);
  expect(told.map(({ event }) => event)).toEqual([
    ["ready", first],
    ["ready", last],
  ]);
  isGone();
  await ready();
  await quiet();
  expect(told).toHaveLength(2);
});

test("every task that ended is told, and what other messages say is not", async () => {
  await says({
    type: "output",
    data: { type: "system", subtype: "task_notification", status: "completed", summary: "A" },
  });
  await says({
    type: "output",
    data: { type: "system", subtype: "task_notification", status: "killed", summary: "B" },
  });
  await says({ type: "output", data: { type: "assistant", message: { content: "ready" } } });
  await until("both", () => told.length === 2);
  await quiet();
  expect(told).toMatchObject([
    { kind: "task", task: { isFailed: false, summary: "A" } },
    { kind: "task", task: { isFailed: true, summary: "B" } },
  ]);
});

test("a session that completed is told, and one that ended otherwise is not", async () => {
  active = false;
  rules.heard({ type: "session-ended", ...to(), reason: "error" });
  rules.heard({ type: "session-ended", ...to(), reason: "completed" });
  await until("the end", () => told.length === 1);
  await quiet();
  expect(kinds()).toEqual(["completion"]);
});
