import { expect, test } from "bun:test";
import { agentStateView, pendingRequests, requestKind, requestWaiting } from "./agent-state.ts";

test("unknown keys pass through; a known key of a wrong type hides it", () => {
  const state = { controlledByUser: null, odd: 1, requests: { a: { tool: "Bash", arguments: {}, odd: 2 } } };
  expect(agentStateView(state)).toEqual(state as never);
  expect(agentStateView({ requests: { a: { arguments: {} } } })).toBeNull();
  expect(agentStateView({ requests: [], completedRequests: null })).toBeNull();
  expect(agentStateView({ completedRequests: { a: { tool: "x", status: "odd" } } })).toBeNull();
  expect(agentStateView(null)).toBeNull();
});

test.each([
  [{ q: ["a"] }, true],
  [{ q: { answers: ["a"] } }, true],
  [{ q: "a" }, false],
])("answers %p", (answers, isFine) => {
  const state = { completedRequests: { a: { tool: "x", arguments: {}, status: "approved", answers } } };
  expect(agentStateView(state) !== null).toBe(isFine);
});

test("what waits: the five oldest, ties by id, kinds in their order", () => {
  const requests = Object.fromEntries([
    ["z", { tool: "AskUserQuestion", createdAt: 2 }],
    ["b", { tool: "Bash", createdAt: 2 }],
    ["a", { tool: "Bash" }],
    ["e", { tool: "Edit", createdAt: 9 }],
    ["c", { tool: "Bash", createdAt: null }],
    ["d", { tool: "Bash", createdAt: 1 }],
  ]);
  const pending = pendingRequests(agentStateView({ requests }), 5);
  expect(pending.count).toBe(6);
  expect(pending.kinds).toEqual(["permission", "input"]);
  expect(pending.oldest.map(({ id, since }) => [id, since])).toEqual([
    ["d", 1],
    ["b", 2],
    ["z", 2],
    ["a", 5],
    ["c", 5],
  ]);
  expect(pendingRequests(null, 5)).toEqual({ count: 0, kinds: [], oldest: [] });
});

test.each([
  ["AskUserQuestion", "input"],
  ["ask_user_question", "input"],
  ["ExitPlanMode", "input"],
  ["exit_plan_mode", "input"],
  ["request_user_input", "input"],
  ["Bash", "permission"],
] as const)("%s is of kind %s", (tool, kind) => {
  expect(requestKind(tool)).toBe(kind);
});

test("a member that every object has is no request", () => {
  const state = agentStateView({ requests: { real: { tool: "x" } } });
  expect(requestWaiting(state, "real")).toBeDefined();
  expect(requestWaiting(state, "constructor")).toBeUndefined();
  expect(requestWaiting(state, "__proto__")).toBeUndefined();
});
