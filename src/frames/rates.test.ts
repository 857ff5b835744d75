// What the hub does with a client that sends more than its rate: not handled, told once, and closed when it goes on. How much that is,
// is in shares.test.ts.
import { afterEach, describe, expect, test } from "bun:test";
import { type HubNode, type HubNodeOptions, hubNode } from "../../test/support/hub-node.ts";
import { stuckConnection } from "../../test/support/stuck-connection.ts";
import { until } from "../../test/support/until.ts";
import type { Client } from "./client.ts";

const nodes: HubNode[] = [];
afterEach(async () => {
  for (const node of nodes.splice(0)) await node.stop();
});
async function start(settings: HubNodeOptions["settings"]): Promise<HubNode> {
  const node = await hubNode({ settings });
  nodes.push(node);
  return node;
}

const sizes = { maxMessagesPerSecond: 4, maxConnectionsPerSecond: 200 };
/** Five seconds of half of the rate. */
const BURST = 10;

/** A client whose frames the test hands in, and what it hears. */
function direct(node: HubNode, id = "a") {
  const { connection, closes } = stuckConnection();
  const heard: string[] = [];
  const send = (data: unknown) => {
    heard.push(String(data));
    return "written" as const;
  };
  const client = node.hub.register({ id }, { ...connection, send });
  const ping = () => node.hub.receive(client, '{"message_id":7,"message_type":"ping"}');
  return { client, heard, closes, ping };
}
/** How many of each type it heard, in alphabetical order: a refusal does not wait for what a busy machine left for the next turn. */
const types = (heard: readonly string[]) => heard.map((frame) => JSON.parse(frame).message_type).toSorted();

describe("a client above its rate", () => {
  test("is told once with 1005 and its message's id; what is above is not handled", async () => {
    const node = await start(sizes);
    let handled = 0;
    node.sdk.on("client_message", () => handled++);
    const { heard, ping } = direct(node);
    for (let index = 0; index < BURST + 3; index++) ping();
    await until("the answers", () => heard.length === BURST + 1);
    expect(types(heard)).toEqual(["error", ...Array.from({ length: BURST }, () => "pong")]);
    const error = heard
      .map((frame) => JSON.parse(frame))
      .find(({ message_type }) => message_type === "error");
    expect(error).toMatchObject({ message_id: 7, data: { code: 1005, request_id: 7 } });
    await Bun.sleep(20);
    expect([handled, heard.length]).toEqual([BURST, BURST + 1]);
    expect(node.metrics.render()).toContain('roost_bound_refusals_total{bound="frames-messages"} 3\n');
    expect(node.metrics.render()).toContain(`gohub_messages_total ${BURST + 3}\n`);
  });

  test("is closed with 1008 when it goes on, and hears no other answer", async () => {
    const node = await start(sizes);
    const { heard, closes, client, ping } = direct(node);
    for (let index = 0; index < BURST + sizes.maxMessagesPerSecond + 1; index++) ping();
    expect(closes).toEqual([[1008, "too many messages"]]);
    expect(client.closed).toBe(true);
    expect(node.sdk.getClientCount()).toBe(0);
    await Bun.sleep(20);
    expect(types(heard).filter((type) => type === "error")).toEqual(["error"]);
  });

  test("pays with its bytes: one long message costs as much as several", async () => {
    const node = await start(sizes);
    const { client, heard } = direct(node);
    const long = JSON.stringify({ message_id: 1, message_type: "ping", data: { x: "y".repeat(3_000) } });
    for (let index = 0; index < 4; index++) node.hub.receive(client, long);
    await until("the answers", () => heard.length === 4);
    expect(types(heard)).toEqual(["error", "pong", "pong", "pong"]);
  });

  test("does not take from another identity, and as a connection of server code counts for its own", async () => {
    const node = await start(sizes);
    const [a, b] = [direct(node, "a"), direct(node, "b")];
    for (let index = 0; index < BURST; index++) a.ping();
    b.ping();
    await until("the answer", () => b.heard.length === 1);
    expect(types(b.heard)).toEqual(["pong"]);
  });

  test("a rate of zero is none", async () => {
    const node = await start({ ...sizes, maxMessagesPerSecond: 0 });
    const { heard, ping } = direct(node);
    for (let index = 0; index < 200; index++) ping();
    await until("the answers", () => heard.length === 200);
    expect(new Set(types(heard))).toEqual(new Set(["pong"]));
  });
});

describe("a message to a room", () => {
  const say = (client: Client, node: HubNode) =>
    node.hub.receive(
      client,
      '{"message_id":8,"message_type":"room_message","data":{"room_id":"r","content":1}}',
    );

  test("costs its sender one more for each two hundred members", async () => {
    const node = await start({ ...sizes, maxMessagesPerSecond: 2 });
    node.sdk.createRoom("r", "Room");
    const { client, heard } = direct(node);
    node.sdk.joinRoom("r", "a");
    for (let index = 0; index < 999; index++) {
      node.hub.register({ id: `m${index}` }, stuckConnection().connection);
      node.sdk.joinRoom("r", `m${index}`);
    }
    // It may send five at once; 1,000 members make one message six.
    say(client, node);
    await until("the message", () => node.metrics.render().includes("gohub_room_messages 1\n"));
    say(client, node);
    await until("the refusal", () => heard.length === 1);
    expect(JSON.parse(heard[0] ?? "").data.code).toBe(1005);
  });
});
