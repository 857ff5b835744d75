import { expect, test } from "bun:test";
import type { MessageRow } from "../store/rows.ts";
import { cliMessageView, deliveryModeFor, messageView, webContent } from "./message.ts";
import { cancelUpdate, cliMessageUpdate, machineUpdate, sessionUpdate, webMessageUpdate } from "./update.ts";

const content = { text: '{"a":1}', value: { a: 1 }, toJSON: () => ({ a: 1 }) };
const ROW: MessageRow = {
  id: "m1",
  sessionId: "s1",
  seq: 7,
  localId: "l1",
  createdAt: 5,
  invokedAt: null,
  scheduledAt: null,
  deliveryState: "queued",
  content,
};
const sent = (value: unknown): unknown => JSON.parse(JSON.stringify(value));
const ANY_ID = expect.stringMatching(/^[0-9a-f-]{36}$/);

test("a message of the web travels in an envelope that is named for it", () => {
  const message = { id: "m1", seq: 7, createdAt: 5, localId: "l1", content: { a: 1 } };
  expect(sent(webMessageUpdate("s1", ROW))).toEqual({
    id: "m1",
    seq: 7,
    createdAt: 5,
    body: { t: "new-message", sid: "s1", message },
  });
  expect(sent(cliMessageUpdate("s1", ROW, 9))).toEqual({
    id: ANY_ID,
    seq: 7,
    createdAt: 9,
    body: { t: "new-message", sid: "s1", message },
  });
});

test("a change of a value: one of the two parts, and a time for a seq", () => {
  const versioned = { version: 3, value: { a: 1 } };
  expect(sent(sessionUpdate("s1", "metadata", versioned, 9))).toEqual({
    id: ANY_ID,
    seq: 9,
    createdAt: 9,
    body: { t: "update-session", sid: "s1", metadata: versioned, agentState: null },
  });
  expect(machineUpdate("m", "runnerState", versioned, 9).body).toEqual({
    t: "update-machine",
    machineId: "m",
    metadata: null,
    runnerState: versioned,
  });
});

test("a cancel names the message as it was asked for, with seq 0", () => {
  expect(sent(cancelUpdate("s1", "q1", "q1", 9))).toEqual({
    id: ANY_ID,
    seq: 0,
    createdAt: 9,
    body: { t: "cancel-queued-message", sid: "s1", messageId: "q1", localId: "q1" },
  });
  expect(cancelUpdate("s1", "m1", null, 9).body).not.toHaveProperty("localId");
});

test("a message of a page, and of the event about one that a CLI sent", () => {
  const view = { id: "m1", seq: 7, localId: "l1", content: { a: 1 }, createdAt: 5, invokedAt: null };
  expect(sent(messageView(ROW))).toEqual({ ...view, scheduledAt: null });
  expect(sent(cliMessageView(ROW))).toEqual(view);
  // As the released hub tells them (hapi-socket 18.2).
  for (const deliveryState of ["indeterminate", "dispatching"] as const)
    expect(messageView({ ...ROW, deliveryState })).toHaveProperty("deliveryState", "indeterminate");
  expect(messageView({ ...ROW, deliveryState: "indeterminate", invokedAt: 9 })).not.toHaveProperty(
    "deliveryState",
  );
});

test("what is stored for a web client", () => {
  expect(webContent({ text: "do it" }, "webapp", "queue")).toEqual({
    role: "user",
    content: { type: "text", text: "do it" },
    meta: { sentFrom: "webapp", deliveryMode: "queue" },
  });
  const attachments = [{ id: "1", filename: "a", mimeType: "b", size: 1, path: "/x" }];
  expect(webContent({ text: "", attachments }, "telegram-bot", "queue")).toMatchObject({
    content: { attachments },
  });
  // As it was sent, none too (probed).
  const said = (attachments?: []) => webContent({ text: "x", attachments }, "webapp", "queue");
  expect(said([])).toHaveProperty("content", { type: "text", text: "x", attachments: [] });
  expect(said()).toHaveProperty("content", { type: "text", text: "x" });
});

test("only pi is steered", () => {
  expect(deliveryModeFor({ flavor: "pi" }, "steer")).toBe("steer");
  expect(deliveryModeFor({ flavor: "claude" }, "steer")).toBe("queue");
  expect(deliveryModeFor({ flavor: "pi" }, undefined)).toBe("queue");
});
