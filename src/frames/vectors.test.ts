// The vectors of frames contract, section 20, byte for byte where the contract has bytes.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { type HubNode, hubNode } from "../../test/support/hub-node.ts";

let node: HubNode;
let now = 1_042;
const T = 1_700_000_000_000;

beforeEach(async () => {
  now = T;
  node = await hubNode({ now: () => now });
});
afterEach(async () => await node.stop());

/** Sends to a fresh client and returns what it heard before a following ping was answered. */
async function heardAfter(...frames: (string | object)[]): Promise<string[]> {
  const client = await node.connect("c1");
  for (const frame of frames) client.send(frame);
  await client.settled();
  return client.frames.map(String);
}

test("H01 ping with the client's time", async () => {
  now = 1_042;
  expect(await heardAfter({ message_id: 7, message_type: "ping", data: { ts: 1_000 } })).toEqual([
    '{"message_id":7,"message_type":"pong","data":{"ts":1000,"server_ts":1042,"rtt":42},"ts":1042}',
  ]);
  expect(node.metrics.render()).toContain('gohub_message_latency_bucket{le="50"} 1');
});

test("H02 ping by its number, H03 without time; neither feeds the latency", async () => {
  expect(await heardAfter({ message_id: 1 }, { message_id: 2, message_type: "ping" })).toEqual([
    `{"message_id":1,"message_type":"pong","data":{"ts":${T},"server_ts":${T},"rtt":0},"ts":${T}}`,
    `{"message_id":2,"message_type":"pong","data":{"ts":${T},"server_ts":${T},"rtt":0},"ts":${T}}`,
  ]);
  expect(node.metrics.render()).toContain("gohub_message_latency_count 0");
});

test("a clock that is ahead is a round trip of 0; a time that is no number counts as none", async () => {
  const [ahead, text] = await heardAfter(
    { message_id: 3, message_type: "ping", data: { ts: T + 500 } },
    { message_id: 4, message_type: "ping", data: { ts: "then" } },
  );
  expect(JSON.parse(ahead ?? "").data).toEqual({ ts: T + 500, server_ts: T, rtt: 0 });
  expect(JSON.parse(text ?? "").data).toEqual({ ts: T, server_ts: T, rtt: 0 });
});

describe("H04 what is no message is answered with 1001, and the connection stays open", () => {
  test.each([
    ["not json", 0],
    ["", 0],
    ["null", 0],
    ["[]", 0],
    ['"text"', 0],
    ["5", 0],
    ['{"message_id":1.5}', 0],
    ['{"message_id":9007199254740993}', 0],
    ['{"message_id":"7"}', 0],
    ['{"message_id":5,"message_type":7}', 5],
    ['{"message_id":5,"message_type":"ping","ts":"now"}', 5],
    ['{"message_id":5,"message_type":"ping","timestamp":{}}', 5],
  ])("%s", async (text, id) => {
    const [reply, ...more] = await heardAfter(text);
    expect(JSON.parse(reply ?? "")).toEqual({
      message_id: id,
      message_type: "error",
      data: { code: 1001, message: expect.any(String), request_id: id },
      ts: T,
    });
    expect(more).toEqual([]);
  });
});

test("what is nested too deeply is no message either: it is not parsed, and that is counted", async () => {
  const nested = (depth: number) =>
    `{"message_id":5,"message_type":"ping","data":${"[".repeat(depth)}${"]".repeat(depth)}}`;
  const replies = await heardAfter(nested(20), nested(500));
  expect(
    replies
      .map((reply) => JSON.parse(reply))
      .map(({ message_id, message_type, data }) => [message_id, message_type, data.code]),
  ).toEqual([
    [5, "pong", undefined],
    [0, "error", 1001],
  ]);
  expect(node.metrics.render()).toContain('roost_bound_refusals_total{bound="json-depth"} 1\n');
});

test("H05 an unknown type, an unknown number, a message without both", async () => {
  const replies = await heardAfter({ message_id: 9, message_type: "nope" }, { message_id: 8 }, {});
  expect(
    replies.map((reply) => JSON.parse(reply)).map(({ message_id, data }) => [message_id, data.code]),
  ).toEqual([
    [9, 1002],
    [8, 1002],
    [0, 1002],
  ]);
  expect(JSON.parse(replies[0] ?? "").data.request_id).toBe(9);
});

test("the type decides before the number", async () => {
  const [reply] = await heardAfter({ message_id: 1, message_type: "nope" });
  expect(JSON.parse(reply ?? "").data.code).toBe(1002);
});

test("unknown fields, a client id, both names of the time and null data are accepted", async () => {
  const [reply] = await heardAfter({
    message_id: 6,
    message_type: "ping",
    data: null,
    ts: 1,
    timestamp: 2,
    client_id: "somebody else",
    request_id: 5,
    surprise: true,
  });
  expect(JSON.parse(reply ?? "")).toEqual({
    message_id: 6,
    message_type: "pong",
    data: { ts: T, server_ts: T, rtt: 0 },
    ts: T,
  });
});

test("a binary frame with JSON is a message; one that is no UTF-8 is not", async () => {
  const client = await node.connect("c1");
  client.sendBytes(new TextEncoder().encode('{"message_id":3,"message_type":"ping"}'));
  const broken = Buffer.from('{"message_id":4,"message_type":"ping","data":{"x":"?"}}');
  broken[broken.indexOf("?")] = 0xff;
  client.sendBytes(broken);
  await client.settled();
  expect(client.messages.map(({ message_id, message_type }) => [message_id, message_type])).toEqual([
    [3, "pong"],
    [0, "error"],
  ]);
});

test("H06 join a room", async () => {
  node.sdk.createRoom("r1", "Room", 1);
  const client = await node.connect("c1");
  client.send({ message_id: 3, message_type: "join_room", data: { room_id: "r1" } });
  await client.settled();
  expect(client.frames).toEqual([
    `{"message_id":3,"message_type":"room_joined","data":{"room_id":"r1","status":"joined"},"ts":${T}}`,
  ]);
  node.sdk.createRoom("r2", "Room");
  const code = async (id: string, room: string) =>
    (
      await (
        await node.connect(id)
      ).ask({ message_id: 3, message_type: "join_room", data: { room_id: room } })
    ).data.code;
  const again = (room: string) =>
    client.ask({ message_id: 4, message_type: "join_room", data: { room_id: room } });
  await again("r2");
  expect((await again("r2")).data).toMatchObject({ code: 3004, request_id: 4 });
  expect(await code("c2", "r1")).toBe(3002);
  expect(await code("c3", "nowhere")).toBe(3000);
});

test("a full room says so also to who is in it: full is checked first", async () => {
  node.sdk.createRoom("r1", "Room", 1);
  const client = await node.connect("c1");
  const join = () => client.ask({ message_id: 3, message_type: "join_room", data: { room_id: "r1" } });
  await join();
  expect((await join()).data.code).toBe(3002);
});

test("leave a room", async () => {
  node.sdk.createRoom("r1", "Room");
  const client = await node.connect("c1");
  const leave = (room: string) =>
    client.ask({ message_id: 8, message_type: "leave_room", data: { room_id: room } });
  expect((await leave("r1")).data.code).toBe(3003);
  await client.ask({ message_id: 1, message_type: "join_room", data: { room_id: "r1" } });
  expect(await leave("r1")).toEqual({
    message_id: 8,
    message_type: "room_left",
    data: { room_id: "r1", status: "left" },
    ts: T,
  });
  expect((await leave("r1")).data.code).toBe(3003);
  expect((await leave("nowhere")).data.code).toBe(3000);
});

test("H07 a room message reaches the other members only, and nobody without membership may send one", async () => {
  node.sdk.createRoom("r1", "Room");
  const [c1, c2, outside] = [await node.connect("c1"), await node.connect("c2"), await node.connect("c3")];
  for (const client of [c1, c2])
    await client.ask({ message_id: 1, message_type: "join_room", data: { room_id: "r1" } });
  for (const client of [c1, c2]) client.frames.length = 0;
  c1.send({ message_id: 4, message_type: "room_message", data: { room_id: "r1", content: { a: 1 } } });
  await c2.until(({ frames }) => frames.length === 1);
  expect(c2.frames).toEqual([
    `{"message_id":0,"message_type":"room_message","data":{"room_id":"r1","content":{"a":1},"sender_id":"c1","timestamp":${T}},"ts":${T}}`,
  ]);
  for (const client of [c1, outside]) expect((await client.settled()).frames).toEqual([]);
  const refused = await outside.ask({
    message_id: 5,
    message_type: "room_message",
    data: { room_id: "r1", content: "x" },
  });
  expect(refused.data).toMatchObject({ code: 3003, request_id: 5 });
  expect((await c2.settled()).frames).toHaveLength(1);
});

test("H08 a direct message, to somebody and to nobody", async () => {
  const [c1, c2] = [await node.connect("c1"), await node.connect("c2")];
  c1.send({ message_id: 5, message_type: "direct_message", data: { target_id: "c2", content: "hi" } });
  await c2.until(({ frames }) => frames.length === 1);
  expect(c2.messages[0]).toEqual({
    message_id: 0,
    message_type: "direct_message",
    data: { content: "hi", sender_id: "c1", timestamp: T },
    ts: T,
  });
  expect((await c1.settled()).frames).toEqual([]);
  const refused = await c1.ask({
    message_id: 6,
    message_type: "direct_message",
    data: { target_id: "nobody", content: "hi" },
  });
  expect(refused).toMatchObject({ message_type: "error", data: { code: 4000, request_id: 6 } });
});

test.each([
  ["join_room", {}],
  ["join_room", { room_id: 5 }],
  ["join_room", { room_id: "" }],
  ["join_room", { room_id: "x".repeat(129) }],
  ["join_room", { room_id: "a\nb" }],
  ["leave_room", null],
  ["room_message", { room_id: "r1" }],
  ["direct_message", { content: "hi" }],
  ["direct_message", { target_id: "c2" }],
  ["direct_message", [1]],
])("%s with data %p is an invalid format", async (message_type, data) => {
  const [reply] = await heardAfter({ message_id: 5, message_type, data });
  expect(JSON.parse(reply ?? "").data).toMatchObject({ code: 1001, request_id: 5 });
});

test("content may be any JSON, null and false included", async () => {
  const [c1, c2] = [await node.connect("c1"), await node.connect("c2")];
  const contents = [null, false, 0, "", [], { deep: [{}] }];
  for (const content of contents)
    c1.send({ message_id: 5, message_type: "direct_message", data: { target_id: "c2", content } });
  await c2.until(({ frames }) => frames.length === contents.length);
  expect(c2.messages.map(({ data }) => data.content)).toEqual(contents);
});

test("with error replies switched off, unreadable and unknown messages are met with silence", async () => {
  const silent = await hubNode({ settings: { errorReplies: false } });
  try {
    const client = await silent.connect("c1");
    client.send("not json");
    client.send({ message_id: 9, message_type: "nope" });
    expect((await client.settled()).frames).toEqual([]);
    const refused = await client.ask({
      message_id: 3,
      message_type: "join_room",
      data: { room_id: "nowhere" },
    });
    expect(refused.data.code).toBe(3000);
  } finally {
    await silent.stop();
  }
});
