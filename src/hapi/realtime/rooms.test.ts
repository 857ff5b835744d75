// Who is told of an update, who is asked, and that nobody waits for a socket that is gone.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { type OpenHapiSockets, openHapiSockets } from "../../../test/support/hapi-sockets.ts";
import { until } from "../../../test/support/until.ts";

let opened: OpenHapiSockets;
beforeEach(async () => {
  opened = await openHapiSockets();
  opened.hub.addSession("s");
  opened.hub.addSession("t");
  opened.hub.addMachine("s");
});
afterEach(() => opened.close());

const envelope = (id: string) => ({ id, seq: 1, createdAt: 2, body: { t: "new-message", sid: "s" } });
const S = { session: "s" };

test("an update reaches the room but its sender, each once, and no other room", async () => {
  const { sockets, cli, hub } = opened;
  const [a, b] = [await cli({ sessionId: "s" }), await cli({ sessionId: "s" })];
  const others = [await cli({ sessionId: "t" }), await cli({ machineId: "s" }), await cli()];
  hub.stored = (from) => sockets.rooms.update(S, envelope("by a"), from.socket);
  a.socket.emit("message", { sid: "s", message: 1 });
  await a.settled();
  sockets.rooms.update(S, envelope("by the hub"));
  sockets.rooms.update({ machine: "s" }, envelope("of the machine"));
  sockets.rooms.update({ session: "nobody is there" }, envelope("lost"));
  for (const client of [a, b, ...others]) await client.settled();
  expect(a.all("update")).toEqual([envelope("by the hub")]);
  expect(b.all("update")).toEqual([envelope("by a"), envelope("by the hub")]);
  expect(others.map((other) => other.all("update"))).toEqual([[], [envelope("of the machine")], []]);
});

test("a sender that is alone in its room hears nothing", async () => {
  const { sockets, cli, hub } = opened;
  const a = await cli({ sessionId: "s" });
  hub.stored = (from) => sockets.rooms.update(S, envelope("by a"), from.socket);
  a.socket.emit("message", { sid: "s", message: 1 });
  await a.settled();
  expect(a.heard).toEqual([]);
});

test("the newest socket of a room is asked; without one, or without an answer in time, there is none", async () => {
  const { sockets, cli } = opened;
  expect(await sockets.rooms.ask(S, envelope("q"), 1_000)).toBeUndefined();
  const old = await cli({ sessionId: "s" });
  const newest = await cli({ sessionId: "s" });
  expect(await sockets.rooms.ask(S, envelope("q"), 30)).toBeUndefined();
  newest.socket.on("update", (_envelope, answer) => answer({ removed: true }));
  expect(await sockets.rooms.ask(S, envelope("q"), 5_000)).toEqual({ removed: true });
  expect(old.heard).toEqual([]);
  newest.socket.disconnect();
  old.socket.on("update", (_envelope, answer) => answer({ removed: false }));
  await until("the room to be the older one's", async () => {
    const answer = await sockets.rooms.ask(S, envelope("q"), 200);
    return (answer as { removed: boolean } | undefined)?.removed === false;
  });
});

test("nobody waits for the answer of a socket that is gone", async () => {
  const { sockets, cli } = opened;
  const client = await cli({ sessionId: "s" });
  const asked = sockets.rooms.ask(S, envelope("q"), 60_000);
  await until("the question", () => client.all("update").length === 1);
  client.socket.disconnect();
  expect(await asked).toBeUndefined();
  expect(sockets.rooms.isConnected(S)).toBe(false);
});
