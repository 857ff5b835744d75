// Two nodes, a client on each: both hear, the own node's first and at once, whether the bus is there or not. On every engine.
import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import type { Namespace } from "socket.io";
import { io as connectTo, type Socket } from "socket.io-client";
import { bentBus } from "../../test/support/bent-bus.ts";
import { type Etcd, startEtcd, withEtcd, withoutEtcd } from "../../test/support/etcd.ts";
import { NO_COUNTERS } from "../../test/support/hub-node.ts";
import { testLimits } from "../../test/support/limits.ts";
import { until } from "../../test/support/until.ts";
import { PublishFailedError } from "../bus/errors.ts";
import { EtcdBus } from "../bus/etcd.ts";
import { MemoryExchange } from "../bus/memory.ts";
import type { MessageBus } from "../bus/message-bus.ts";
import { createLog } from "../observability/log.ts";
import { openFrontDoor } from "./front-door.ts";
import { SocketIoPaths } from "./socket-io.ts";

const silent = createLog("silent");
let etcd: Etcd | undefined;
let prefixes = 0;
const cleanup: (() => Promise<void> | void)[] = [];

beforeAll(async () => {
  if (!withoutEtcd) etcd = await startEtcd();
}, 20_000);
afterAll(async () => await etcd?.stop());
afterEach(async () => {
  for (const step of cleanup.splice(0).reverse()) await step();
});

const engines: Record<string, () => () => MessageBus> = {
  memory: () => {
    const exchange = new MemoryExchange();
    return () => exchange.join(silent);
  },
  etcd: () => {
    const keyPrefix = `/sockets${prefixes++}`;
    return () =>
      new EtcdBus(
        { endpoints: [etcd?.url ?? ""], dialTimeoutMs: 2_000, keyPrefix, leaseSeconds: 30 },
        NO_COUNTERS,
        silent,
      );
  },
};

interface Node {
  readonly io: Namespace;
  readonly url: string;
  readonly lines: string[];
  /** A client that joined room `r`; `heard` is every event with its arguments. */
  connect(namespace?: string): Promise<{ socket: Socket; heard: unknown[][]; id: string }>;
}

async function node(bus: MessageBus, path = "/io/"): Promise<Node> {
  const lines: string[] = [];
  const log = createLog("warn", { write: (line: string) => lines.push(line) });
  const limits = testLimits();
  const paths = new SocketIoPaths({ limits, log });
  const { namespace: io } = paths.claim(path, {
    protocol: "t",
    namespace: "/",
    otherNames: (name) => name.startsWith("/i/"),
    limits: { maxMessageBytes: 1_000_000, maxQueuedBytes: 16_000_000, maxPollingBytes: 1_000_000 },
    maxStrangerBodyBytes: () => 16_384,
    engine: { pingIntervalMs: 25_000, pingTimeoutMs: 20_000, connectTimeoutMs: 10_000 },
    cors: { origins: "*", methods: [] },
    cluster: { bus, counters: NO_COUNTERS, timeoutMs: 2_000 },
    log,
  });
  io.on("connection", (socket) => void socket.join("r"));
  const door = openFrontDoor({
    host: "127.0.0.1",
    listeners: [{ port: 0, served: [{ name: "t", http: [], sockets: [] }] }],
    shared: paths.open(),
    trustedProxies: [],
    limits,
    log,
  });
  cleanup.push(
    () => bus.close(),
    () => door.close(1_000),
  );
  await bus.ready;
  const url = `http://127.0.0.1:${door.port}`;
  return {
    io,
    url,
    lines,
    connect: async (namespace = "/") => {
      const socket = connectTo(`${url}${namespace}`, {
        path,
        transports: ["websocket"],
        forceNew: true,
        reconnection: false,
      });
      cleanup.push(() => void socket.close());
      const heard: unknown[][] = [];
      socket.onAny((...args: unknown[]) => heard.push(args));
      await new Promise<void>((resolve, reject) => {
        socket.once("connect", resolve);
        socket.once("connect_error", reject);
      });
      return { socket, heard, id: socket.id ?? "" };
    },
  };
}

for (const [name, engine] of Object.entries(engines)) {
  withEtcd.when(name === "etcd").describe(`Socket.IO on the ${name} bus`, () => {
    const pair = async () => {
      const join = engine();
      return [await node(join()), await node(join())] as const;
    };

    test("a broadcast to a room is heard once by each node's sockets, in order", async () => {
      const [one, two] = await pair();
      const [a, b] = [await one.connect(), await two.connect()];
      for (let index = 0; index < 200; index++) one.io.to("r").emit("update", index);
      two.io.to("r").emit("update", "from two");
      await until("both to hear", () => a.heard.length === 201 && b.heard.length === 201);
      const numbers = Array.from({ length: 200 }, (_, index) => index);
      for (const { heard } of [a, b])
        expect(heard.map(([, value]) => value).filter((value) => value !== "from two")).toEqual(numbers);
    });

    test("rooms and exceptions are honoured on the other node; binary values survive", async () => {
      const [one, two] = await pair();
      const [, b, c] = [await one.connect(), await two.connect(), await two.connect()];
      const bytes = Buffer.from([0, 255, 128]);
      one.io
        .to("r")
        .except(c.id)
        .emit("update", { deep: [bytes] }, bytes);
      one.io.to("elsewhere").emit("update", "nobody");
      one.io.emit("end");
      await until("the end", () => b.heard.length === 2 && c.heard.length === 1);
      expect(c.heard).toEqual([["end"]]);
      const [event, first, second] = b.heard[0] ?? [];
      expect([event, Buffer.from((first as { deep: Buffer[] }).deep[0] ?? []), second]).toEqual([
        "update",
        bytes,
        bytes,
      ]);
    });

    test("what is local stays local; other paths hear nothing", async () => {
      const join = engine();
      const [one, two, other] = [await node(join()), await node(join()), await node(join(), "/other/")];
      const [b, c] = [await two.connect(), await other.connect()];
      one.io.local.emit("update", "local");
      one.io.emit("end");
      await until("the end", () => b.heard.length === 1);
      expect(b.heard).toEqual([["end"]]);
      expect(c.heard).toEqual([]);
    });

    test("sockets join, leave and are disconnected across nodes, and are found there", async () => {
      const [one, two] = await pair();
      const [a, b] = [await one.connect(), await two.connect()];
      await until("the nodes to know each other", async () => (await one.io.fetchSockets()).length === 2);
      expect((await one.io.fetchSockets()).map(({ id }) => id).sort()).toEqual([a.id, b.id].sort());
      one.io.in(b.id).socketsJoin("new");
      one.io.to("new").emit("update", "joined");
      await until("b to hear", () => b.heard.length === 1);
      one.io.in(b.id).socketsLeave("new");
      one.io.to("new").emit("update", "left");
      const gone = new Promise((resolve) => b.socket.once("disconnect", resolve));
      one.io.in(b.id).disconnectSockets();
      expect(await gone).toBe("io server disconnect");
      expect(b.heard).toHaveLength(1);
    });

    test("acknowledgements and messages between servers cross", async () => {
      const [one, two] = await pair();
      const b = await two.connect();
      await until("the nodes to know each other", async () => (await one.io.fetchSockets()).length === 1);
      b.socket.on("question", (ack: (answer: string) => void) => ack("answer"));
      const answers = await one.io.timeout(3_000).emitWithAck("question");
      expect(answers).toEqual(["answer"]);
      two.io.on("hello", (ack: (answer: string) => void) => ack("from two"));
      expect(await one.io.serverSideEmitWithAck("hello")).toEqual(["from two"]);
    });

    test("what is said in / is heard on both nodes by those who call it by another name, once each", async () => {
      const [one, two] = await pair();
      const [a, plain, invited, other] = [
        await one.connect("/i/code"),
        await two.connect(),
        await two.connect("/i/code"),
        await two.connect("/i/another"),
      ];
      one.io.to("r").emit("update", 1);
      one.io.emit("end");
      await until(
        "the end",
        () => plain.heard.length === 2 && invited.heard.length === 2 && other.heard.length === 2,
      );
      for (const { heard } of [a, plain, invited, other]) expect(heard).toEqual([["update", 1], ["end"]]);
    });

    test("a bus that is ill changes nothing for the own node's sockets: at once, and in order", async () => {
      const ill = bentBus(engine()(), {
        publish: () => Promise.reject(new PublishFailedError("the bus is ill")),
      });
      const one = await node(ill);
      const a = await one.connect();
      for (let index = 0; index < 100; index++) one.io.to("r").emit("update", index);
      one.io.in(a.id).socketsJoin("new");
      one.io.to("new").emit("update", 100);
      await until("all", () => a.heard.length === 101);
      expect(a.heard.map(([, value]) => value)).toEqual(Array.from({ length: 101 }, (_, index) => index));
      expect(one.lines.filter((line) => line.includes("the bus is ill")).length).toBeGreaterThan(0);
    });
  });
}

test("the own node's sockets are written to before the call returns, bus or not", async () => {
  const stuck = bentBus(new MemoryExchange().join(silent), { publish: () => new Promise(() => {}) });
  const one = await node(stuck);
  await one.connect();
  const written: unknown[] = [];
  for (const socket of one.io.sockets.values())
    socket.conn.on("packetCreate", (packet: unknown) => written.push(packet));
  one.io.to("r").emit("update", "now");
  expect(written).toHaveLength(1);
});

test("a broadcast that cannot be encoded throws, as it does without a bus", async () => {
  const one = await node(new MemoryExchange().join(silent));
  const circular: Record<string, unknown> = {};
  circular.self = circular;
  expect(() => one.io.emit("update", circular)).toThrow();
});

test("garbage on the bus costs log lines, and what came along with it is heard", async () => {
  const exchange = new MemoryExchange();
  const [one, stranger] = [await node(exchange.join(silent)), exchange.join(silent)];
  const a = await one.connect();
  const broadcast = {
    uid: "u",
    nsp: "/",
    type: 3,
    data: { packet: { type: 2, data: ["good"] }, opts: { rooms: [], except: [], flags: {} } },
  };
  const packet = (message: unknown) => [`2${JSON.stringify(["bus", message])}`];
  for (const text of [
    "garbage",
    "[]",
    JSON.stringify([["x"], packet({}), packet({ ...broadcast, data: undefined }), packet(broadcast)]),
  ])
    await stranger.publish("topic//io/", new TextEncoder().encode(text));
  one.io.emit("end");
  await until("the end", () => a.heard.length === 2);
  expect(a.heard).toEqual([["good"], ["end"]]);
  expect(one.lines).toHaveLength(3);
});
