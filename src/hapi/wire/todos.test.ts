import { expect, test } from "bun:test";
import { todoProgress, todosIn, todosView } from "./todos.ts";

const item = { content: "a", status: "pending", priority: "high", id: "1" };
const agent = (content: unknown, role = "agent") => ({ role, content });
const claude = (...blocks: unknown[]) =>
  agent({ type: "output", data: { type: "assistant", message: { content: blocks } } });
const write = (todos: unknown) => ({ type: "tool_use", name: "TodoWrite", id: "t", input: { todos } });
const codex = (data: unknown) => agent({ type: "codex", data });

test("three forms carry a list", () => {
  expect(todosIn(claude({ type: "text", text: "x" }, write([item])))).toEqual([item] as never);
  expect(todosIn(codex({ type: "tool-call", name: "TodoWrite", input: { todos: [item] } }))).toEqual([
    item,
  ] as never);
  expect(todosIn(codex({ type: "plan", entries: [item] }))).toEqual([item] as never);
  expect(todosIn({ ...claude(write([item])), role: "assistant" })).toEqual([item] as never);
});

test("a plan skips bad entries and names the rest by their place", () => {
  const entries = [
    { content: "a", status: "pending" },
    { content: 5 },
    "odd",
    { content: "b", status: "completed", id: "" },
  ];
  expect(todosIn(codex({ type: "plan", entries }))).toEqual([
    { content: "a", status: "pending", priority: "medium", id: "plan-1" },
    { content: "b", status: "completed", priority: "medium", id: "plan-4" },
  ] as never);
  expect(todosIn(codex({ type: "plan", entries: [] }))).toEqual([]);
});

test("one bad item voids a written list", () => {
  expect(todosIn(claude(write([item, { content: "b", status: "odd" }])))).toBeUndefined();
  expect(
    todosIn(claude(write([item, { content: "b", status: "pending", priority: "odd" }]))),
  ).toBeUndefined();
});

test.each([
  ["a person", { ...claude(write([item])), role: "user" }],
  ["another tool", claude({ type: "tool_use", name: "Bash", input: { todos: [item] } })],
  ["an event", agent({ type: "event", data: { type: "plan", entries: [item] } })],
  ["nothing", null],
  ["text", "TodoWrite"],
])("%s has none", (_, content) => {
  expect(todosIn(content)).toBeUndefined();
});

test("what is stored is shown with its defaults, or not at all", () => {
  expect(todosView([{ content: "a", status: "pending" }])).toEqual([
    { content: "a", status: "pending", priority: "medium", id: "" },
  ] as never);
  expect(todosView([{ content: 1 }])).toBeUndefined();
  expect(todosView(null)).toBeUndefined();
});

test("progress", () => {
  const list = todosView([item, { ...item, status: "completed" }]);
  expect(todoProgress(list)).toEqual({ completed: 1, total: 2 });
  expect(todoProgress(undefined)).toBeNull();
  expect(todoProgress([])).toBeNull();
});
