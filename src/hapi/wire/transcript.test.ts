// How much of an agent's own record a session has, and what a runner's answer is taken for.
import { expect, test } from "bun:test";
import { codexTranscript, listedHistories, Overlap, piTranscript } from "./transcript.ts";

const user = (text: string) => ({ role: "user", content: { type: "text", text } });
const agent = (data: object) => ({ role: "agent", content: { type: "codex", data } });
const says = (message: string) => agent({ type: "message", message });
const tool = (id: string, callId = "c") => agent({ type: "tool-call", name: "shell", callId, id });

const TRANSCRIPT = [user("1"), tool("x"), says("2"), user("3"), tool("y", "d")];

test.each([
  ["nothing", [], 0],
  ["a beginning, with other ids of parts", [user("1"), tool("z")], 2],
  ["all of it", TRANSCRIPT, 5],
  ["only what was said, until before the last words", [user("1"), says("2")], 3],
  ["what was said, with what only the session records", [user("1"), agent({ type: "ready" }), says("2")], 3],
  ["all that was said", [user(" 1 "), says("2"), user("3"), agent({ type: "reasoning" })], 5],
  ["other words", [user("1"), says("other")], undefined],
  ["more than there is", [...TRANSCRIPT, user("4")], undefined],
])("a session that has %s", (_, stored, length) => {
  const overlap = new Overlap(TRANSCRIPT);
  for (const message of stored) if (!overlap.next(message)) break;
  expect(overlap.length).toBe(length);
});

test("an answer that is none of a history is none", () => {
  const entry = { id: "a", cwd: "/w", messages: [user("1")] };
  expect(codexTranscript([5, entry], "a")).toMatchObject({ folder: "/w", messages: [user("1")] });
  for (const messages of [undefined, [5], [{ role: "system", content: "x" }], [{ role: "user" }]])
    expect(codexTranscript([{ ...entry, messages }], "a")).toBeUndefined();
  expect(codexTranscript([entry], "b")).toBeUndefined();
  const message = { localId: "l", entryId: "e", createdAt: 5, content: user("1") };
  const pi = { id: "p", messages: [message], activeEntryIds: ["e", 5] };
  expect(piTranscript([pi], "p")?.activeEntryIds).toEqual(new Set(["e"]));
  for (const wrong of [{ localId: "" }, { entryId: 5 }, { createdAt: "5" }, { content: null }])
    expect(piTranscript([{ ...pi, messages: [{ ...message, ...wrong }] }], "p")).toBeUndefined();
});

test("lists show no conversation", () => {
  expect(
    listedHistories([{ id: "a", title: "t", messages: [], activeEntryIds: [] }, { title: "t" }, 5]),
  ).toEqual([{ id: "a", title: "t" }]);
});
