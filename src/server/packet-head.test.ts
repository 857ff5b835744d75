// The head of a packet as Socket.IO's own parser reads it, and nothing that this parser would not take.
import { expect, test } from "bun:test";
import { Decoder, type Packet } from "socket.io-parser";
import { addressedTo, eventName, packetHead, readdressed } from "./packet-head.ts";

test.each([
  '2["message",{"a":1}]',
  '217["message"]',
  '2/i/abc,["message"]',
  '2/i/abc,17["message",1]',
  '0{"token":"x"}',
  '0/i/abc,{"token":"x"}',
  "0/doctor,",
  "0/doctor",
  "0",
  "1",
  "1/i/abc,",
  "31[1]",
  '3/i/abc,1["x"]',
  '4{"message":"no"}',
])("%s is read as Socket.IO reads it", (text) => {
  const decoder = new Decoder();
  let packet: Packet | undefined;
  decoder.on("decoded", (decoded) => {
    packet = decoded;
  });
  decoder.add(text);
  const head = packetHead(text);
  expect(head?.type).toBe(String(packet?.type));
  expect(head?.namespace).toBe(packet?.nsp ?? "none");
  expect(head?.ackId).toBe(String(packet?.id ?? ""));
  const json = text.slice(head?.jsonAt);
  expect(json === "" ? undefined : JSON.parse(json)).toEqual(packet?.data);
});

test("attachments are read too", () => {
  expect(packetHead('52-/i/a,7["x"]')).toMatchObject({
    type: "5",
    attachments: 2,
    namespace: "/i/a",
    ackId: "7",
    jsonAt: 9,
  });
});

test.each([
  "",
  "7[]",
  "x",
  "2x",
  '2/a"b,["x"]',
  `2/${"x".repeat(500)},["x"]`,
  `2${"1".repeat(20)}["x"]`,
  "2 [1]",
])("%s is none", (text) => expect(packetHead(text)).toBeUndefined());

test("the name of an event, escapes and all, but no long one", () => {
  const nameOf = (text: string) =>
    eventName(text, packetHead(text) as NonNullable<ReturnType<typeof packetHead>>);
  expect(nameOf('21["message",1]')).toBe("message");
  expect(nameOf('21["a\\"b"]')).toBe('a"b');
  expect(nameOf("21[5]")).toBeUndefined();
  expect(nameOf(`21["${"x".repeat(500)}"]`)).toBeUndefined();
});

test.each([
  ['0{"sid":"a"}', '0/i/x,{"sid":"a"}'],
  ['2["update",{}]', '2/i/x,["update",{}]'],
  ["37[{}]", "3/i/x,7[{}]"],
  ['51-["x"]', '51-/i/x,["x"]'],
  ["1", "1/i/x,"],
  ['0/doctor,{"sid":"a"}', '0/doctor,{"sid":"a"}'],
])("%s addressed to another name is %s", (text, addressed) =>
  expect(addressedTo(text, "/i/x")).toBe(addressed),
);

test.each([
  ['0/cli,{"sid":"a"}', '0/x,{"sid":"a"}'],
  ['2/cli,["update",{}]', '2/x,["update",{}]'],
  ['51-/cli,["x"]', '51-/x,["x"]'],
  ["1/cli,", "1/x,"],
  ['2["of another"]', '2["of another"]'],
  ['2/clitoo,["of another"]', '2/clitoo,["of another"]'],
])("%s of /cli addressed to another name is %s", (text, addressed) =>
  expect(addressedTo(text, "/x", "/cli")).toBe(addressed),
);

test.each([
  ['0/i/x,{"token":"a"}', "/", '0{"token":"a"}'],
  ["0/i/x", "/", "0"],
  ['0/,{"token":"a"}', "/", '0{"token":"a"}'],
  ['2["x"]', "/", '2["x"]'],
  ['2/x,7["x"]', "/cli", '2/cli,7["x"]'],
  ["0/cli", "/cli", "0/cli,"],
  ['51-/x,["x"]', "/", '51-["x"]'],
])("%s as one for %s is %s", (text, namespace, expected) =>
  expect(readdressed(text, packetHead(text) as NonNullable<ReturnType<typeof packetHead>>, namespace)).toBe(
    expected,
  ),
);
