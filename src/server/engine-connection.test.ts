// What Socket.IO sends in one turn of the event loop arrives in its order, whatever it is, and was written together.
import { afterEach, expect, test } from "bun:test";
import type { Socket } from "socket.io";
import { countWrites } from "../../test/support/counted-writes.ts";
import { claimOf, type SharedSockets, sharedSockets } from "../../test/support/shared-sockets.ts";
import { until } from "../../test/support/until.ts";
import { type EngineConnection, saidAtOnce } from "./engine-connection.ts";
import type { Peer } from "./peer.ts";

const cleanup: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of cleanup.splice(0).reverse()) await step();
});

const nextTurn = () => new Promise<void>((resolve) => setImmediate(resolve));
const auth = { token: "test" };

async function served(): Promise<SharedSockets> {
  const sockets = await sharedSockets({ claims: [claimOf("test", "/")] });
  cleanup.push(() => sockets.close());
  return sockets;
}

const socketsOf = ({ claimed }: SharedSockets): Socket[] => [
  ...(claimed[0]?.namespace.sockets.values() ?? []),
];
const connectionOf = ({ conn }: Socket) => conn as unknown as EngineConnection;
const peerOf = (socket: Socket) => connectionOf(socket).transport.socket as Peer;

test("events, acknowledgements, bytes, the engine's pings and the end of one turn arrive in order", async () => {
  const all = await served();
  const client = await all.connect("/", { auth }).connected();
  const { heard } = client;
  const [socket] = socketsOf(all);
  if (socket === undefined) throw new Error("nobody is there");
  const order: unknown[] = heard;
  client.socket.io.engine.on("packet", ({ type }) => type === "ping" && order.push(["engine ping"]));
  client.socket.on("disconnect", () => order.push(["end"]));
  socket.on("ask", (answer: (text: string) => void) => {
    socket.emit("before", 1);
    answer("acknowledged");
    socket.emit("bytes", Buffer.from("abc"), Buffer.from("def"));
    connectionOf(socket).sendPacket("ping");
    void Promise.resolve()
      .then(() => {})
      .then(() => {
        socket.emit("large", "x".repeat(100_000));
        socket.emit("after", 2);
        socket.disconnect(true);
        socket.emit("late");
      });
  });
  client.socket.emit("ask", (answer: string) => order.push([answer]));
  await until("the end", () => order.some((entry) => (entry as unknown[])[0] === "end"));
  expect(
    order.map((entry) => (entry as unknown[]).map((part) => (part instanceof Uint8Array ? `${part}` : part))),
  ).toEqual([
    ["before", 1],
    ["acknowledged"],
    ["bytes", `${Buffer.from("abc")}`, `${Buffer.from("def")}`],
    ["engine ping"],
    ["large", "x".repeat(100_000)],
    ["after", 2],
    ["end"],
  ]);
});

test("broadcasts to a room and what only some of it hear are one write a socket, each in order", async () => {
  const all = await served();
  const clients = await Promise.all(
    Array.from({ length: 6 }, () => all.connect("/", { auth, forceNew: true }).connected()),
  );
  const [namespace, sockets] = [all.claimed[0]?.namespace, socketsOf(all)];
  const counted = sockets.map((socket) => countWrites(peerOf(socket)));
  const expected = new Map<string, unknown[][]>(sockets.map(({ id }) => [id, []]));
  for (let round = 0; round < 10; round++) {
    namespace?.to("r").emit("room", round);
    for (const [index, socket] of sockets.entries()) {
      expected.get(socket.id)?.push(["room", round]);
      if (round % (index + 1) !== 0) continue;
      // As long as the others' text.
      socket.emit("mine", index);
      expected.get(socket.id)?.push(["mine", index]);
    }
  }
  expect(counted.flatMap(({ writes }) => writes)).toEqual([]);
  await nextTurn();
  expect(counted.map(({ writes }) => writes)).toEqual(
    sockets.map(({ id }) => [expected.get(id)?.length ?? 0]),
  );
  for (const { socket, heard } of clients) {
    const all = expected.get(socket.id ?? "");
    await until("all events", () => heard.length === all?.length);
    expect(heard).toEqual(all ?? []);
  }
});

test("calls that come together are answered in one write, and each answer is its own", async () => {
  const all = await served();
  const client = await all.connect("/", { auth }).connected();
  const [socket] = socketsOf(all);
  if (socket === undefined) throw new Error("nobody is there");
  const { writes } = countWrites(peerOf(socket));
  const asked = Array.from({ length: 20 }, (_, length) => client.ask("echo", "x".repeat(length)));
  expect(await Promise.all(asked)).toEqual(Array.from({ length: 20 }, (_, length) => length));
  expect(writes.reduce((sum, frames) => sum + frames, 0)).toBe(20);
  // The system may hand the calls over in a few parts.
  expect(writes.length).toBeLessThan(10);
});

test("a client that polls, and one that changes to a WebSocket meanwhile, hear every event once and in order", async () => {
  const all = await served();
  const ways = [["polling"], ["polling", "websocket"]];
  const clients = await Promise.all(
    ways.map((transports) => all.connect("/", { auth, forceNew: true, transports }).connected()),
  );
  const upgraded = () => clients[1]?.socket.io.engine.transport.name === "websocket";
  let said = 0;
  while (!upgraded() || said < 500) {
    for (let count = 0; count < 10; count++) all.claimed[0]?.namespace.to("r").emit("news", said++);
    await nextTurn();
  }
  for (const { heard } of clients) {
    await until("all news", () => heard.length >= said);
    expect(heard).toEqual(Array.from({ length: said }, (_, number) => ["news", number]));
  }
});

test("the short way overtakes nothing that waits, hides nothing, and leads to no connection that ends", () => {
  const posted: string[] = [];
  const socket = { readyState: 1, post: (frame: string) => posted.push(frame) };
  const listeners = (): unknown[] => [];
  const connection = {
    readyState: "open",
    transport: { name: "websocket", socket },
    writeBuffer: [],
    listeners,
  };
  const said = (changes: object) =>
    saidAtOnce({ ...connection, ...changes } as unknown as EngineConnection, "text");
  expect(said({ writeBuffer: ["waits"] })).toBe(false);
  expect(said({ readyState: "closing" })).toBe(false);
  expect(said({ transport: { name: "websocket", socket: { ...socket, readyState: 2 } } })).toBe(false);
  expect(said({ transport: { name: "polling" } })).toBe(false);
  expect(said({ listeners: () => [() => {}] })).toBe(false);
  expect(posted).toEqual([]);
  expect(said({})).toBe(true);
  expect(posted).toEqual(["4text"]);
});

test("nobody listens for the packets of a WebSocket, whether it was one from the start or became one", async () => {
  const all = await served();
  const transports = ["polling", "websocket"];
  await all.connect("/", { auth }).connected();
  const client = await all.connect("/", { auth, forceNew: true, transports }).connected();
  await until("the change", () => client.socket.io.engine.transport.name === "websocket");
  const listening = () =>
    socketsOf(all).map((socket) => connectionOf(socket).listeners("packetCreate").length);
  await until("nobody to listen", () => listening().every((count) => count === 0));
  expect(listening()).toEqual([0, 0]);
});
