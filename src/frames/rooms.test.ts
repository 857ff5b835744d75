// What all rooms together may hold, and that a refused join leaves nothing behind.
import { expect, test } from "bun:test";
import { createLog } from "../observability/log.ts";
import { Metrics } from "../observability/metrics.ts";
import type { Client } from "./client.ts";
import { ClientNotInRoomError, LimitError, RoomNotFoundError } from "./errors.ts";
import { HubEvents } from "./events.ts";
import { hubMetrics } from "./metrics.ts";
import { Rooms } from "./rooms.ts";

const client = (id: string) => ({ id, identity: { id } }) as unknown as Client;

test("all clients together are in so many rooms and no more; who leaves makes room", () => {
  const rooms = new Rooms(new HubEvents(createLog("silent"), Date.now), hubMetrics(new Metrics()), true, 3);
  rooms.create("there", "Room");
  const [a, b] = [client("a"), client("b")];
  rooms.join("one", a);
  rooms.join("two", a);
  rooms.join("two", b);
  expect(() => rooms.join("there", b)).toThrow(LimitError);
  expect(() => rooms.join("three", b)).toThrow(RoomNotFoundError);
  expect(rooms.list().map(({ id }) => id)).toEqual(["there", "one", "two"]);
  rooms.leave("one", a);
  rooms.join("there", b);
  expect(() => rooms.join("four", a)).toThrow(RoomNotFoundError);
  rooms.leaveAll(b);
  rooms.delete("two");
  for (const id of ["there", "four", "five"]) rooms.join(id, a);
  expect(() => rooms.join("there", b)).toThrow(LimitError);
  rooms.close();
});

function someRooms() {
  return new Rooms(new HubEvents(createLog("silent"), Date.now), hubMetrics(new Metrics()), false);
}

test("another connection under a member's id is no member", () => {
  const rooms = someRooms();
  const [member, other] = [client("same"), client("same")];
  rooms.create("r", "Room");
  rooms.join("r", member);
  expect(() => rooms.requireMember("r", other)).toThrow(ClientNotInRoomError);
  expect(() => rooms.leave("r", other)).toThrow(ClientNotInRoomError);
  expect(() => rooms.requireMember("nowhere", member)).toThrow(RoomNotFoundError);
  rooms.requireMember("r", member);
  rooms.close();
});

test("a node has so many rooms and no more", () => {
  const rooms = someRooms();
  for (let index = 0; index < 100_000; index++) rooms.create(`r${index}`, "Room");
  expect(() => rooms.create("one more", "Room")).toThrow(LimitError);
  rooms.delete("r0");
  rooms.create("one more", "Room");
  rooms.close();
  expect(rooms.count).toBe(0);
});
