// The hub as the rest of the server sees it: its rooms, its events and its figures (frames contract 12, 17).
import { afterEach, describe, expect, test } from "bun:test";
import { type HubNode, type HubNodeOptions, hubNode } from "../../test/support/hub-node.ts";
import { until } from "../../test/support/until.ts";
import { ClientNotFoundError, RoomNotFoundError } from "./errors.ts";

const nodes: HubNode[] = [];
afterEach(async () => {
  for (const node of nodes.splice(0)) await node.stop();
});
async function start(options: HubNodeOptions = {}): Promise<HubNode> {
  const node = await hubNode(options);
  nodes.push(node);
  return node;
}

describe("rooms, seen from the server", () => {
  test("create, get, list, join, members, leave, delete", async () => {
    const node = await start();
    const { sdk } = node;
    const client = await node.connect("a");
    expect(sdk.createRoom("r", "Room", 5)).toEqual({ id: "r", name: "Room", maxMembers: 5, memberCount: 0 });
    expect(() => sdk.createRoom("r", "Again")).toThrow("room already exists");
    sdk.joinRoom("r", "a");
    expect(() => sdk.joinRoom("r", "a")).toThrow("already in the room");
    expect(() => sdk.joinRoom("r", "nobody")).toThrow(ClientNotFoundError);
    expect(() => sdk.joinRoom("other", "a")).toThrow(RoomNotFoundError);
    expect(sdk.getRoom("r").memberCount).toBe(1);
    expect(sdk.getRoomMembers("r")).toEqual(["a"]);
    expect(sdk.getClientRooms("a")).toEqual(["r"]);
    expect([sdk.getRoomCount(), sdk.listRooms().length]).toEqual([1, 1]);
    sdk.leaveRoom("r", "a");
    expect(() => sdk.leaveRoom("r", "a")).toThrow("not in the room");
    sdk.joinRoom("r", "a");
    sdk.deleteRoom("r");
    expect(() => sdk.deleteRoom("r")).toThrow(RoomNotFoundError);
    expect(() => sdk.getRoomMembers("r")).toThrow(RoomNotFoundError);
    expect(sdk.getClientRooms("a")).toEqual([]);
    expect((await client.settled()).frames).toEqual([]);
    await expect(sdk.broadcastToRoom("r", "x")).rejects.toBeInstanceOf(RoomNotFoundError);
  });

  test("rooms that joins made go with their last member; their number per client has a bound", async () => {
    const node = await start({ settings: { autoCreateRooms: true } });
    const client = await node.connect("a");
    const join = (room_id: string) =>
      client.ask({ message_id: 5, message_type: "join_room", data: { room_id } });
    expect((await join("new")).message_type).toBe("room_joined");
    expect(node.sdk.getRoomCount()).toBe(1);
    await client.ask({ message_id: 6, message_type: "leave_room", data: { room_id: "new" } });
    expect(node.sdk.getRoomCount()).toBe(0);
    for (let index = 0; index < 1_000; index++) await join(`r${index}`);
    expect((await join("one more")).data.code).toBe(3000);
    node.sdk.createRoom("there", "Room");
    expect((await join("there")).data.code).toBe(1005);
    await client.close();
    await until("the rooms to go", () => node.sdk.getRoomCount() === 1);
  });
});

describe("events", () => {
  test("each tells what happened after it happened; a listener that throws stops nobody; off means off", async () => {
    const node = await start();
    const { sdk } = node;
    const heard: string[] = [];
    const types = [
      "client_connected",
      "client_disconnected",
      "client_message",
      "room_created",
      "room_deleted",
      "room_joined",
      "room_left",
      "room_message",
    ] as const;
    for (const type of types) {
      sdk.on(type, () => {
        throw new Error("broken listener");
      });
      sdk.on(type, ({ clientId, roomId, time }) => {
        expect(time).toBeGreaterThan(0);
        heard.push([type, clientId, roomId].filter((part) => part !== undefined).join(" "));
      });
    }
    const never = () => heard.push("never");
    sdk.on("client_connected", never);
    sdk.off("client_connected", never);
    const client = await node.connect("a");
    sdk.createRoom("r", "Room");
    await client.ask({ message_id: 2, message_type: "join_room", data: { room_id: "r" } });
    await client.ask({ message_id: 3, message_type: "leave_room", data: { room_id: "r" } });
    await sdk.broadcastToRoom("r", "x");
    sdk.deleteRoom("r");
    await client.close();
    await until("the end", () => heard.at(-1) === "client_disconnected a");
    expect(heard).toEqual([
      "client_connected a",
      "room_created r",
      "client_message a",
      "room_joined a r",
      "client_message a",
      "room_left a r",
      "room_message r",
      "room_deleted r",
      "client_disconnected a",
    ]);
    expect(node.lines.filter((line) => line.includes("a listener of hub events failed")).length).toBe(9);
  });
});

test("the figures count what happened", async () => {
  const node = await start();
  const client = await node.connect("a");
  await client.ask({ message_id: 5, message_type: "ping", data: { ts: 1 } });
  const page = node.metrics.render();
  for (const line of [
    "gohub_connected_clients 1",
    "gohub_connection_rate 1",
    "gohub_messages_total 1",
    "gohub_message_rate_in 1",
    "gohub_message_rate_out 1",
    'gohub_message_size_bucket{le="64"} 1',
    'gohub_message_latency_bucket{le="5000"} 0',
    "gohub_active_rooms 0",
    "gohub_critical_errors_total 0",
    'gohub_messages_dropped_total{reason="closed"} 0',
  ])
    expect(page).toContain(`${line}\n`);
  await client.close();
  await until("the end", () => node.metrics.render().includes("gohub_connected_clients 0\n"));
  expect(node.metrics.render()).toContain("gohub_disconnection_rate 1\n");
});
