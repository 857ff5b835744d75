// The JSON around a frame on the bus: what is written, what is understood, and what is taken for raw text.
import { expect, test } from "bun:test";
import { decodeEnvelope, type Envelope, encodeEnvelope } from "./envelope.ts";

const envelope: Envelope = {
  id: { nodeId: "host-1-abc", timestamp: "1700000000000000000", sequence: 7 },
  kind: "room",
  roomId: "r1",
  exclude: "c1",
  payload: 'says "hi"\u0000 ☃',
  sentAt: 1_700_000_000_000,
};

test("a text frame is written as the contract says", () => {
  expect(JSON.parse(encodeEnvelope(envelope).toString())).toEqual({
    v: 1,
    id: { node_id: "host-1-abc", timestamp: "1700000000000000000", sequence: 7 },
    type: "room",
    room_id: "r1",
    exclude: "c1",
    msg_type: 1,
    enc: "utf8",
    payload: 'says "hi"\u0000 ☃',
    sent_at: 1_700_000_000_000,
  });
});

test("a binary frame is base64, and arrives as the same bytes", () => {
  const payload = Uint8Array.from([0x00, 0xff, 0x80]);
  const text = encodeEnvelope({ ...envelope, kind: "broadcast", payload }).toString();
  expect(JSON.parse(text)).toMatchObject({ msg_type: 2, enc: "base64", payload: "AP+A" });
  const decoded = decodeEnvelope(text)?.payload;
  expect(decoded).toBeInstanceOf(Uint8Array);
  expect([...Buffer.from(decoded ?? "")]).toEqual([0x00, 0xff, 0x80]);
});

test("an envelope comes back as it was", () => {
  expect(decodeEnvelope(encodeEnvelope(envelope).toString())).toEqual(envelope);
});

test("other combinations of type and encoding are understood", () => {
  const base = JSON.parse(encodeEnvelope(envelope).toString());
  const decoded = (change: object) => decodeEnvelope(JSON.stringify({ ...base, ...change }))?.payload;
  expect(decoded({ msg_type: 1, enc: "base64", payload: "aGk=" })).toBe("hi");
  expect(Buffer.from(decoded({ msg_type: 2, enc: "utf8", payload: "hi" }) ?? "").toString()).toBe("hi");
  expect(decodeEnvelope(JSON.stringify({ ...base, id: { ...base.id, timestamp: 5 } }))?.id.timestamp).toBe(
    "5",
  );
});

test.each([
  "plain text",
  "",
  "{",
  "{}",
  "null",
  "[1]",
  '{"v":1}',
  JSON.stringify({ ...JSON.parse(encodeEnvelope(envelope).toString()), v: 2 }),
  JSON.stringify({ ...JSON.parse(encodeEnvelope(envelope).toString()), enc: "hex" }),
  JSON.stringify({ ...JSON.parse(encodeEnvelope(envelope).toString()), payload: 5 }),
])("%p is raw text", (text) => expect(decodeEnvelope(text)).toBeUndefined());
