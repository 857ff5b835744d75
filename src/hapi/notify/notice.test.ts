// The words, as the released hub 0.30.7 has them where clients know them.
import { expect, test } from "bun:test";
import type { SessionRow } from "../store/rows.ts";
import { cut, type Notice, questionIn, toastOf, wordsOf } from "./notice.ts";

const session = {
  id: "7196ab8e-a90b-48f1-ae52-dbe85f4e49d5",
  namespace: "default",
  metadata: { path: "/home/u/demo", host: "h", flavor: "claude" },
} as unknown as SessionRow;
const url = `/sessions/${session.id}`;
const said = (notice: object) => wordsOf({ session, event: [], ...notice } as unknown as Notice);

test("a permission", () => {
  expect(said({ kind: "permission", requestId: "r1", request: { tool: "Bash" } })).toEqual({
    title: "Permission Request",
    body: "demo (Bash)",
    tag: `permission-${session.id}`,
    data: { type: "permission-request", sessionId: session.id, url, requestId: "r1" },
  });
});

test("a question", () => {
  const questions = [{ question: "Which colour\n do you want?" }, { question: "Second?" }];
  const words = said({
    kind: "input",
    requestId: "r1",
    request: { tool: "AskUserQuestion", arguments: { questions } },
  });
  expect(words).toEqual({
    title: "Claude needs your input",
    body: "Which colour do you want?\n+1 more question\ndemo",
    tag: `input-request-${session.id}`,
    data: { type: "input-request", sessionId: session.id, url, requestId: "r1" },
  });
});

test("ready, and tasks", () => {
  expect(toastOf(said({ kind: "ready" }))).toEqual({
    title: "Ready for input",
    body: "Claude is waiting in demo",
    sessionId: session.id,
    url,
  });
  const task = (isFailed: boolean) => said({ kind: "task", task: { isFailed, summary: "Line is done" } });
  expect([task(false).title, task(true).title, task(false).body]).toEqual([
    "Task completed",
    "Task failed",
    "Claude · demo · Line is done",
  ]);
});

test("whatever a CLI calls things, a message stays one that push services take", () => {
  const long = "\u{1F389}".repeat(20_000);
  const metadata = { path: "/x", host: "h", name: long };
  for (const notice of [
    { kind: "permission", requestId: long, request: { tool: long } },
    {
      kind: "input",
      requestId: long,
      request: { tool: "x", arguments: { questions: [{ question: long }] } },
    },
    { kind: "task", task: { isFailed: false, summary: long } },
  ])
    expect(
      Buffer.byteLength(JSON.stringify(said({ ...notice, session: { ...session, metadata } }))),
    ).toBeLessThan(3_900);
});

test.each([undefined, null, {}, { questions: 1 }, { questions: [{}] }, { questions: [{ question: " " }] }])(
  "%p asks nothing that can be shown",
  (given) => expect(questionIn(given)).toBeUndefined(),
);

test("a text is cut between characters", () => {
  expect(cut("abc", 3)).toBe("abc");
  expect(cut("abcd", 3)).toBe("ab…");
  expect(cut("a\u{1F389}bc", 3)).toBe("a…");
});
