import { describe, expect, test } from "bun:test";
import { boundedContent, finishedTask, isReady, isUserText, reasoningOf } from "./content.ts";

const agent = (content: unknown) => ({ role: "agent", content });
const output = (data: unknown) => agent({ type: "output", data });
const codex = (data: unknown) => agent({ type: "codex", data });
const said = (content: unknown, type = "assistant") => output({ type, message: { role: type, content } });

describe("very long strings", () => {
  const long = `${"a".repeat(60_000)}${"z".repeat(20_000)}`;
  const text = (content: unknown) =>
    (content as { content: { data: { message: string } } }).content.data.message;

  test("of agents are cut to their first 49,152 and last 12,288 characters", () => {
    const cut = text(boundedContent(codex({ type: "message", message: long })));
    expect(cut.startsWith("a".repeat(49_152))).toBeTrue();
    expect(cut.endsWith("z".repeat(12_288))).toBeTrue();
    expect(cut).toContain("18560 characters left out");
    expect(cut.length).toBeLessThan(61_600);
  });

  test("of 65,536 characters, and of people, stay", () => {
    const most = codex({ type: "message", message: "a".repeat(65_536) });
    expect(boundedContent(most)).toBe(most);
    const person = { role: "user", content: { type: "text", text: long } };
    expect(boundedContent(person)).toBe(person);
  });

  test("nothing else of the message is copied or changed", () => {
    const rest = { deep: [1, { a: "b" }] };
    const message = codex({ type: "tool-call-result", output: long, rest });
    const bounded = boundedContent(message) as { content: { data: { rest: unknown } } };
    expect(bounded.content.data.rest).toBe(rest);
    expect((message.content as { data: { output: string } }).data.output).toBe(long);
  });

  test("half a character is never left", () => {
    const faces = "😀".repeat(40_000);
    for (const message of [faces, `x${faces}`]) {
      const cut = text(boundedContent(codex({ type: "message", message })));
      expect(cut.isWellFormed()).toBeTrue();
    }
  });

  test("a message nested without end is no end of the hub", () => {
    let deep: unknown = long;
    for (let level = 0; level < 100_000; level++) deep = [deep];
    expect(() => boundedContent(codex({ type: "message", deep }))).not.toThrow();
  });
});

test.each([
  [agent({ type: "event", data: { type: "ready" } }), true],
  [{ type: "event", data: { type: "ready" } }, true],
  [agent({ type: "event", data: { type: "message" } }), false],
  [agent({ type: "output", data: { type: "ready" } }), false],
  ["ready", false],
  [null, false],
])("%p says that the agent is ready: %p", (content, ready) => {
  expect(isReady(content)).toBe(ready);
});

test("words of a person move a session up, a file alone does not", () => {
  expect(isUserText({ role: "user", content: { type: "text", text: "hi" } })).toBeTrue();
  expect(isUserText({ role: "user", content: "hi" })).toBeTrue();
  expect(isUserText({ role: "user", content: { type: "text", text: "", attachments: [{}] } })).toBeFalse();
  expect(isUserText(codex({ type: "message", message: "hi" }))).toBeFalse();
});

test("a thought that grows has an id", () => {
  expect(reasoningOf(codex({ type: "reasoning", id: "r", live: true }))).toEqual({ id: "r", isLive: true });
  expect(reasoningOf(codex({ type: "reasoning", id: "r" }))).toEqual({ id: "r", isLive: false });
  expect(reasoningOf(codex({ type: "reasoning" }))).toBeUndefined();
  expect(reasoningOf(codex({ type: "message", id: "r" }))).toBeUndefined();
});

test("a task in the background that ended", () => {
  const system = { type: "system", subtype: "task_notification", status: "completed", summary: "done" };
  expect(finishedTask(output(system))).toEqual({ isFailed: false, summary: "done" });
  expect(finishedTask(output({ ...system, status: "failed" }))).toEqual({ isFailed: true, summary: "done" });
  expect(finishedTask(output({ ...system, summary: "" }))).toBeUndefined();
  const line =
    "<task-notification>\n<status>completed</status>\n<summary>did it</summary>\n</task-notification>";
  expect(finishedTask(said(line, "user"))).toEqual({ isFailed: false, summary: "did it" });
  expect(finishedTask(said(`see ${line}`, "user"))).toBeUndefined();
  expect(finishedTask(said(line))).toBeUndefined();
});
