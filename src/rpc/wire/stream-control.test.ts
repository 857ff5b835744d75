// Requests about a stream: what is read of one, beside what the whole server's test shows of wrong ones.
import { expect, test } from "bun:test";
import { type ReadControl, readControl } from "./stream-control.ts";

const codes = (read: ReadControl) =>
  "error" in read ? [read.error.code, ...read.error.details.map(({ field }) => field)] : [];

test("a wish and whose stream it is for", () => {
  const read = readControl({
    stream_id: "s",
    id: 5,
    message: { type: "ack", sequence: 1, timestamp_ms: 2, payload: { control: { ack_sequence: 7 } } },
    metadata: { tenant_id: "acme", auth: { scheme: "bearer", credentials: "c" }, headers: "not read" },
    unknown: true,
  });
  expect(read.control).toEqual({ streamId: "s", requestId: "5", wish: { type: "ack", sequence: 7 } });
  expect("request" in read && read.request).toMatchObject({
    id: "5",
    metadata: { tenantId: "acme", auth: { credentials: "c" } },
  });
});

test("to cancel, a reason is not needed, and nulls are absent", () => {
  for (const message of [
    { type: "cancel" },
    { type: "cancel", payload: null, sequence: null },
    { type: "cancel", payload: { control: null } },
    { type: "cancel", payload: { control: { reason: null } } },
  ])
    expect(readControl({ stream_id: "s", id: null, message, metadata: null }).control).toEqual({
      streamId: "s",
      requestId: undefined,
      wish: { type: "cancel", reason: undefined },
    });
});

test("everything that is wrong is told at once", () => {
  const message = {
    type: "cancel",
    sequence: "1",
    timestamp_ms: 1.5,
    payload: { control: { reason: "x".repeat(1_025) } },
  };
  expect(codes(readControl({ stream_id: "x".repeat(129), message }))).toEqual([
    1002,
    "stream_id",
    "message.sequence",
    "message.timestamp_ms",
    "message.payload.control.reason",
  ]);
  expect(codes(readControl({ stream_id: "", message: { type: "ack", payload: [] } }))).toEqual([
    1002,
    "stream_id",
    "message.payload",
    "message.payload.control.ack_sequence",
  ]);
});
