// What is posted to a socket in one turn leaves in one write at its end, in order with everything else that leaves there. It is bounded
// and closed as what is sent at once, and no answer over HTTP overtakes it.
import { afterEach, expect, test } from "bun:test";
import { connect, type Socket } from "node:net";
import { upgradeRequest } from "../../test/faults/raw-connection.ts";
import { countWrites } from "../../test/support/counted-writes.ts";
import { testLimits } from "../../test/support/limits.ts";
import { until } from "../../test/support/until.ts";
import { createLog } from "../observability/log.ts";
import { openFrontDoor } from "./front-door.ts";
import type { Peer } from "./peer.ts";
import type { Fetch } from "./served.ts";
import type { SocketEndpoint } from "./socket-endpoint.ts";

const KIB = 1024;
const MIB = 1024 * KIB;
const MAX_QUEUED = 256 * KIB;
/** Most of one socket that is held back. */
const TOGETHER = 64 * KIB;
const BOUND_MS = 20_000;

const cleanup: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of cleanup.splice(0).reverse()) await step();
});

const nextTurn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** A door with sockets that say nothing of themselves. */
function scene(onMessage: (peer: Peer, message: string) => void = () => {}) {
  const peers: Peer[] = [];
  const closed: Peer[] = [];
  const lines: string[] = [];
  const log = createLog("warn", { write: (line: string) => lines.push(line) });
  const limits = testLimits();
  const endpoint: SocketEndpoint = {
    path: "/sockets",
    limits: { maxMessageBytes: KIB, maxQueuedBytes: MAX_QUEUED },
    handle: (request, upgrader) => new Response(upgrader.upgrade(request, {}) ? null : "no"),
    open: (peer) => peers.push(peer),
    message: (peer, message) => onMessage(peer, message.toString()),
    close: (peer) => closed.push(peer),
    shutdown: async () => {},
  };
  const http: { fetch: Fetch } = { fetch: () => new Response("nothing") };
  const fetches: Fetch = (request, facts) => http.fetch(request, facts);
  const door = openFrontDoor({
    host: "127.0.0.1",
    listeners: [
      { port: 0, served: [{ name: "t", http: [{ prefixes: ["/"], fetch: fetches }], sockets: [endpoint] }] },
    ],
    trustedProxies: [],
    limits,
    log,
  });
  cleanup.push(() => door.close(0));
  const newest = async (open: () => Promise<unknown>): Promise<Peer> => {
    const before = peers.length;
    await open();
    return until("the socket to open", () => peers[before]);
  };
  return { door, http, limits, closed, lines, newest };
}

type Scene = ReturnType<typeof scene>;

/** A client that reads, what it heard, and how it ended. */
async function reader({ door, newest }: Scene) {
  const socket = new WebSocket(`ws://127.0.0.1:${door.port}/sockets`);
  socket.binaryType = "arraybuffer";
  const heard: string[] = [];
  let code: number | undefined;
  socket.onmessage = ({ data }) =>
    heard.push(typeof data === "string" ? data : `bytes ${Buffer.from(data as ArrayBuffer)}`);
  socket.onclose = (event) => {
    code = event.code;
    heard.push("closed");
  };
  cleanup.push(() => socket.close());
  const peer = await newest(
    () =>
      new Promise((resolve) => {
        socket.onopen = resolve;
      }),
  );
  return { socket, heard, peer, ...countWrites(peer), code: () => code };
}

async function several(count: number, all: Scene) {
  const readers: Awaited<ReturnType<typeof reader>>[] = [];
  while (readers.length < count) readers.push(await reader(all));
  return readers;
}

/** A client that reads nothing until it is resumed. */
async function deaf({ door, newest }: Scene): Promise<{ peer: Peer; connection: Socket }> {
  const connection = connect(door.port, "127.0.0.1");
  connection.on("error", () => {});
  cleanup.push(() => connection.destroy());
  const peer = await newest(async () => connection.write(upgradeRequest("/sockets")));
  connection.pause();
  return { peer, connection };
}

const numbers = (count: number) => Array.from({ length: count }, (_, index) => `${index}`);

test("frames of one turn are one write, those of an answer that comes some promises later too; a single one is not corked", async () => {
  const { peer, writes, heard } = await reader(scene());
  for (const number of numbers(20)) peer.post(number);
  for (let hop = 0; hop < 10; hop++) await undefined;
  peer.post("20");
  expect(writes).toEqual([]);
  await nextTurn();
  expect(writes).toEqual([21]);
  peer.post("alone");
  await nextTurn();
  expect(writes).toEqual([21, 1]);
  await until("all frames", () => heard.length === 22);
  expect(heard).toEqual([...numbers(21), "alone"]);
});

test("a burst of one turn to many sockets is one write for each, in order", async () => {
  const all = scene();
  const readers = await several(5, all);
  for (const number of numbers(30)) for (const { peer } of readers) peer.post(number);
  await nextTurn();
  expect(readers.map(({ writes }) => writes)).toEqual(Array(5).fill([30]));
  for (const { heard } of readers) {
    await until("all frames", () => heard.length === 30);
    expect(heard).toEqual(numbers(30));
  }
});

test("what is sent or pinged at once does not overtake what was posted", async () => {
  const { peer, heard, socket } = await reader(scene());
  peer.post("1");
  peer.post("2");
  expect(peer.send(new Uint8Array(Buffer.from("3")))).toBe("written");
  peer.post("4");
  peer.post("x".repeat(20 * KIB));
  peer.post("5");
  peer.ping();
  expect(peer.queuedBytes).toBe(0);
  peer.post("6");
  peer.cork(() => peer.send("7"));
  await until("all frames", () => heard.length === 8);
  expect(heard.map((text) => text.slice(0, 7))).toEqual(["1", "2", "bytes 3", "4", "xxxxxxx", "5", "6", "7"]);
  expect(socket.readyState).toBe(WebSocket.OPEN);
});

test("a close inside the turn comes after what was posted before it, and nothing after", async () => {
  const { peer, heard, code } = await reader(scene());
  peer.post("1");
  peer.post("2");
  peer.close(4321, "enough");
  peer.post("late");
  await until("the close", () => code() !== undefined);
  expect({ heard, code: code() }).toEqual({ heard: ["1", "2", "closed"], code: 4321 });
});

test("a bounded close takes what was posted along; a dropped connection too", async () => {
  const all = scene();
  const [bounded, dropped] = [await reader(all), await reader(all)];
  bounded.peer.post("1");
  bounded.peer.closeWithin(1_000, 4002, "slow");
  dropped.peer.post("1");
  dropped.peer.post("2");
  dropped.peer.terminate();
  dropped.peer.post("late");
  await until("both to end", () => all.closed.length === 2 && dropped.code() !== undefined);
  await until("the close", () => bounded.code() !== undefined);
  expect({ heard: bounded.heard, code: bounded.code() }).toEqual({ heard: ["1", "closed"], code: 4002 });
  expect(dropped.heard).toEqual(["1", "2", "closed"]);
});

test("a client that closes inside the turn costs nobody else a frame", async () => {
  const all = scene((peer, message) => {
    if (message === "post and hear me go") for (const number of numbers(3)) peer.post(number);
  });
  const [going, staying] = [await reader(all), await reader(all)];
  // Both in one segment: the frame and the end of its sender.
  going.socket.send("post and hear me go");
  going.socket.close();
  await until("it to be gone", () => all.closed.length === 1);
  going.peer.post("late");
  going.peer.flush();
  staying.peer.post("1");
  going.peer.terminate();
  staying.peer.post("2");
  await until("both frames", () => staying.heard.length === 2);
  expect(staying.heard).toEqual(["1", "2"]);
  expect([going.peer.queuedBytes, all.lines]).toEqual([0, []]);
});

test("what is held back counts as waiting, and is written within the turn when it is much", async () => {
  const all = scene();
  const { peer, writes, heard } = await reader(all);
  const before = all.limits.memory.heldBytes;
  const frame = "x".repeat(10 * KIB);
  for (let count = 1; count <= 6; count++) {
    peer.post(frame);
    expect(peer.queuedBytes).toBe(count * frame.length);
  }
  peer.post(frame);
  expect(writes).toEqual([7]);
  expect([peer.queuedBytes, all.limits.memory.heldBytes]).toEqual([0, before]);
  peer.post(frame);
  // Alone, after what was there.
  peer.post("x".repeat(20 * KIB));
  expect(writes).toEqual([7, 1, 1]);
  await until("all frames", () => heard.length === 9);
});

test("all sockets together hold back a bounded part of the memory in flight", async () => {
  const all = scene();
  const readers = await several(80, all);
  const frame = "x".repeat(15 * KIB);
  const before = all.limits.memory.heldBytes;
  let most = 0;
  for (let round = 0; round < 4; round++)
    for (const { peer } of readers) {
      peer.post(frame);
      most = Math.max(most, all.limits.memory.heldBytes - before);
    }
  expect(most).toBeGreaterThan(3 * MIB);
  expect(most).toBeLessThanOrEqual(4 * MIB);
  await until("all frames", () => readers.every(({ heard }) => heard.length === 4));
  expect(all.limits.memory.heldBytes).toBe(before);
});

test("a client that does not read is bounded from frame to frame, closed with a log line, and nobody else loses anything", async () => {
  const all = scene();
  const { peer } = await deaf(all);
  const { peer: healthy, heard } = await reader(all);
  const frame = "x".repeat(8 * KIB);
  let most = 0;
  let posted = 0;
  // What the two systems between take is some megabytes.
  for (; all.closed.length === 0 && posted < 10_000; posted++) {
    peer.post(frame);
    healthy.post(`${posted}`);
    most = Math.max(most, peer.queuedBytes);
    if (posted % 16 === 0) await nextTurn();
  }
  expect(all.closed).toEqual([peer]);
  // One frame above the limit, and what came to be held before it was known to be behind.
  expect(most).toBeGreaterThan(MAX_QUEUED);
  expect(most).toBeLessThanOrEqual(MAX_QUEUED + TOGETHER + 2 * frame.length);
  expect(all.lines.map((line) => JSON.parse(line))).toMatchObject([
    { msg: expect.stringContaining("its queue is full"), limitBytes: MAX_QUEUED },
  ]);
  expect(all.limits.queues.held()).toBe(0);
  await until("everything to be heard", () => heard.length === posted);
  expect(heard).toEqual(numbers(posted));
});

test("a client that reads late gets all of it, in order, also what was posted while it was behind", async () => {
  const all = scene();
  const { peer, connection } = await deaf(all);
  let posted = 0;
  const post = () => peer.post(`<${posted++}>${"x".repeat(9 * KIB)}`);
  const socketHeld = () => all.limits.queues.held();
  while (socketHeld() === 0 && posted < 10_000) {
    for (let count = 0; count < 5; count++) post();
    await nextTurn();
  }
  expect(socketHeld()).toBeGreaterThan(0);
  // No turn between: it is behind still, and what comes now is in its queue from the moment on.
  const { writes } = countWrites(peer);
  for (let count = 0; count < 5; count++) post();
  expect(writes).toEqual([1, 1, 1, 1, 1]);
  peer.closeWithin(BOUND_MS, 4002, "slow");
  peer.post("late");
  const received: Buffer[] = [];
  connection.on("data", (bytes) => received.push(Buffer.from(bytes)));
  connection.resume();
  await until("the close frame", () => received.at(-1)?.toString("latin1").endsWith("slow"));
  const text = Buffer.concat(received).toString("latin1");
  expect([...text.matchAll(/<(\d+)>x{9216}/g)].map(([, number]) => number)).toEqual(numbers(posted));
});

test("of a queue it is known whether its reader takes anything", async () => {
  const all = scene();
  const { peer, connection } = await deaf(all);
  const stillMs = () => all.limits.queues.next()?.stillMs ?? 0;
  peer.send("x".repeat(48 * MIB));
  await until("the client to have taken nothing for a while", () => stillMs() > 300);
  const before = all.limits.queues.held();
  let taken = 0;
  connection.on("data", ({ length }) => {
    taken += length;
    if (taken > 16 * MIB) connection.pause();
  });
  connection.resume();
  await until("a part of it to be taken", () => taken > 16 * MIB);
  expect(all.limits.queues.held()).toBeGreaterThan(0);
  expect(all.limits.queues.held()).toBeLessThan(before);
  expect(stillMs()).toBeLessThan(300);
  await until("it to stand still again", () => stillMs() > 300);
});

test("behind a frame that alone is larger than the queue small ones may wait, within a bound, and no second large one", async () => {
  const all = scene();
  const { peer, connection } = await deaf(all);
  const text = "y".repeat(MAX_QUEUED / 4);
  expect(peer.send("x".repeat(16 * MIB))).toBe("waiting");
  for (let count = 0; count < 4; count++) expect(peer.send(text)).toBe("waiting");
  let taken = 0;
  connection.on("data", ({ length }) => {
    taken += length;
  });
  connection.resume();
  await until("all of it", () => taken >= 16 * MIB + MAX_QUEUED);
  await until("the queue to be empty", () => peer.queuedBytes === 0);
  connection.pause();
  expect(peer.send("x".repeat(16 * MIB))).toBe("waiting");
  expect(peer.send("x".repeat(16 * MIB))).toBe("lost");
  const other = await deaf(all);
  other.peer.send("x".repeat(16 * MIB));
  let sent = 0;
  while (sent < 200 && other.peer.send(text) === "waiting") sent++;
  expect(sent).toBeLessThan(200);
});

test("what the system takes only in part of one write counts at once", async () => {
  const all = scene();
  const { peer } = await deaf(all);
  for (let count = 0; peer.queuedBytes === 0 && count < 10_000; count++) {
    for (let part = 0; part < 3; part++) peer.post("x".repeat(KIB));
    peer.flush();
  }
  expect(peer.queuedBytes).toBeGreaterThan(0);
  expect(all.limits.queues.held()).toBe(peer.queuedBytes);
});

test("no answer over HTTP, and no later piece of one, leaves before what was posted until then", async () => {
  const all = scene();
  const { peer, writes } = await reader(all);
  const seen: number[] = [];
  all.http.fetch = () => {
    peer.post("1");
    const body = new ReadableStream<Uint8Array>(
      {
        pull: (controller) => {
          seen.push(writes.length);
          controller.enqueue(Buffer.from("answer"));
          controller.close();
        },
      },
      { highWaterMark: 0 },
    );
    return new Response(body);
  };
  expect(await (await fetch(`http://127.0.0.1:${all.door.port}/`)).text()).toBe("answer");
  expect(seen).toEqual([1]);

  function* pieces() {
    peer.post("2");
    yield "piece";
  }
  const stream = all.limits.answers.stream(pieces(), (error) => {
    throw error;
  });
  await stream.getReader().read();
  expect(writes).toEqual([1, 1]);
});
