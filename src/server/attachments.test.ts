// Binary attachments that wait for the rest of their packet: what is held, and what becomes of too much.
import { expect, test } from "bun:test";
import { Attachments } from "./attachments.ts";

const packet = (bytes: number) => ({ type: "message", data: Buffer.alloc(bytes) });
const take = (attachments: Attachments, bytes: number) => {
  const one = packet(bytes);
  return { one, taken: attachments.take(one, one.data) };
};
const ack = { text: "61-1[]", refused: "31[refused]", attachments: 2, maxBytes: 100 };

test("of a packet that has passed each goes on at once, and is held until the last", () => {
  const attachments = new Attachments();
  attachments.expect(2, 100);
  const first = take(attachments, 40);
  expect(first.taken).toEqual({ onward: [first.one], heldBytes: 40, isTooLarge: false });
  const last = take(attachments, 60);
  expect(last.taken).toEqual({ onward: [last.one], heldBytes: 0, isTooLarge: false });
  attachments.expect(2, 100);
  expect(take(attachments, 101).taken.isTooLarge).toBe(true);
});

test("nothing was announced: the first is too large", () => {
  expect(take(new Attachments(), 1).taken.isTooLarge).toBe(true);
});

test("an acknowledgement goes on whole, with its text first", () => {
  const attachments = new Attachments();
  attachments.hold(ack);
  expect(attachments.isHolding).toBe(true);
  const first = take(attachments, 40);
  expect(first.taken).toEqual({ onward: [], heldBytes: 46 });
  const last = take(attachments, 40);
  expect(last.taken.onward).toEqual([{ type: "message", data: ack.text }, first.one, last.one]);
  expect([last.taken.heldBytes, attachments.isHolding]).toEqual([0, false]);
});

test.each([
  ["too many bytes", ack, [90, 10], 106],
  ["too many attachments", { ...ack, attachments: 11 }, Array.from({ length: 11 }, () => 1), 17],
])("an acknowledgement of %s costs only its own call, and no memory", (_name, held, sizes, refusedBytes) => {
  const attachments = new Attachments();
  attachments.hold(held);
  const taken = sizes.map((bytes) => take(attachments, bytes).taken);
  expect(taken.at(-1)).toEqual({
    onward: [{ type: "message", data: ack.refused }],
    heldBytes: 0,
    refusedBytes,
  });
  expect(taken.slice(1, -1).every(({ heldBytes, onward }) => heldBytes === 0 && onward.length === 0)).toBe(
    true,
  );
  expect(attachments.isHolding).toBe(false);
});
