// Several hubs on one bus (T2, T3, T6, T8, T9, T12): exactly one copy for every client, in order, on every node. The same tests on the
// memory bus and on a real etcd.
import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { bentBus } from "../../test/support/bent-bus.ts";
import { type Etcd, startEtcd, withEtcd, withoutEtcd } from "../../test/support/etcd.ts";
import { type HubNode, type HubNodeOptions, hubNode, NO_COUNTERS } from "../../test/support/hub-node.ts";
import { until } from "../../test/support/until.ts";
import { PublishFailedError } from "../bus/errors.ts";
import { EtcdBus } from "../bus/etcd.ts";
import { MemoryExchange } from "../bus/memory.ts";
import type { MessageBus } from "../bus/message-bus.ts";
import { createLog } from "../observability/log.ts";
import { ClientNotFoundError } from "./errors.ts";

const log = createLog("silent");
let etcd: Etcd | undefined;
let prefixes = 0;
const nodes: HubNode[] = [];

beforeAll(async () => {
  if (!withoutEtcd) etcd = await startEtcd();
}, 20_000);
afterAll(async () => await etcd?.stop());
afterEach(async () => {
  for (const node of nodes.splice(0)) await node.stop();
});

const engines: Record<string, () => () => MessageBus> = {
  memory: () => {
    const exchange = new MemoryExchange();
    return () => exchange.join(log);
  },
  etcd: () => {
    const keyPrefix = `/cluster${prefixes++}`;
    return () =>
      new EtcdBus(
        { endpoints: [etcd?.url ?? ""], dialTimeoutMs: 5_000, keyPrefix, leaseSeconds: 30 },
        NO_COUNTERS,
        log,
      );
  },
};

async function node(bus: MessageBus, options: HubNodeOptions = {}): Promise<HubNode> {
  const made = await hubNode({ ...options, bus });
  nodes.push(made);
  return made;
}

for (const [name, engine] of Object.entries(engines)) {
  withEtcd.when(name === "etcd").describe(`hubs on the ${name} bus`, () => {
    const pair = async (options?: HubNodeOptions) => {
      const join = engine();
      const [one, two] = await Promise.all([node(join(), options), node(join(), options)]);
      return { one, two, join };
    };
    /** Whatever was published before has been heard: a mark on the same way comes after it. */
    const mark = async (from: HubNode, clients: readonly { frames: (string | Uint8Array)[] }[]) => {
      await from.sdk.broadcastAll("mark");
      await until("the mark", () => clients.every(({ frames }) => frames.includes("mark")));
      for (const { frames } of clients) frames.splice(frames.indexOf("mark"), 1);
    };

    test("T2 a broadcast reaches every client of every node exactly once, a hundred times in order", async () => {
      const { one, two, join } = await pair();
      const [a, b] = [await one.connect("a"), await two.connect("b")];
      expect(await one.sdk.broadcastAll("first")).toEqual({ local: 1, dropped: 0, published: true });
      await mark(one, [a, b]);
      expect([a.frames, b.frames]).toEqual([["first"], ["first"]]);
      for (const client of [a, b]) client.frames.length = 0;
      for (let index = 0; index < 100; index++) void one.sdk.broadcastAll("same text");
      await mark(one, [a, b]);
      const hundred = Array.from({ length: 100 }, () => "same text");
      expect([a.frames, b.frames]).toEqual([hundred, hundred]);
      for (let index = 0; index < 100; index++) void one.sdk.broadcastAll(`${index}`);
      await mark(one, [a, b]);
      const numbers = Array.from({ length: 100 }, (_, index) => `${index}`);
      expect(b.frames.slice(100)).toEqual(numbers);
      const late = await node(join());
      const c = await late.connect("c");
      await mark(one, [a, b, c]);
      expect(c.frames).toEqual([]);
    });

    test("binary frames stay binary on the way", async () => {
      const { one, two } = await pair();
      const b = await two.connect("b");
      await one.sdk.broadcastAll(Uint8Array.from([0x00, 0xff]));
      await one.sdk.sendToClient("b", { data: Uint8Array.from([1, 2]) });
      await b.until(({ frames }) => frames.length === 2);
      expect(b.frames).toEqual([Uint8Array.from([0x00, 0xff]), Uint8Array.from([1, 2])]);
    });

    test("T3 a push reaches the client of another node once, and nobody else", async () => {
      const { one, two } = await pair();
      const [a, b, other] = [await one.connect("a"), await two.connect("b"), await two.connect("other")];
      let acks = 0;
      await one.sdk.sendToClient("b", {
        data: "for b",
        ack: (error) => (error === undefined ? acks++ : undefined),
      });
      await mark(one, [a, b, other]);
      expect([a.frames, b.frames, other.frames]).toEqual([[], ["for b"], []]);
      expect(acks).toBe(1);
      await one.sdk.sendToClient("nobody", { data: "into the void" });
    });

    test("H08 T3 a direct message crosses nodes; with presence, one to nobody is error 4000", async () => {
      const { one, two } = await pair({ settings: { presence: true } });
      const [a, b] = [await one.connect("a"), await two.connect("b")];
      const push = (id: string) => one.sdk.sendToClient(id, { data: "hello" });
      await until("the presence of b", () =>
        push("b").then(
          () => true,
          () => false,
        ),
      );
      await b.until(({ frames }) => frames.includes("hello"));
      await expect(push("nobody")).rejects.toBeInstanceOf(ClientNotFoundError);
      const refused = await a.ask({
        message_id: 5,
        message_type: "direct_message",
        data: { target_id: "nobody", content: "hi" },
      });
      expect(refused.data.code).toBe(4000);
      a.send({ message_id: 6, message_type: "direct_message", data: { target_id: "b", content: "hi" } });
      await b.until(({ messages }) => messages.at(-1)?.data?.content === "hi");
      await b.close();
      await until("the presence of b to go", () =>
        push("b").then(
          () => false,
          (error) => error instanceof ClientNotFoundError,
        ),
      );
    });

    test("with presence, what asks first is not overtaken by what comes after", async () => {
      const { one, two } = await pair({ settings: { presence: true } });
      const b = await two.connect("b");
      await until("the presence of b", () =>
        one.sdk.sendToClient("b", { data: "there" }).then(
          () => true,
          () => false,
        ),
      );
      const expected: string[] = [];
      const sent: Promise<unknown>[] = [];
      for (let index = 0; index < 60; index++) {
        const text = `${index}`;
        expected.push(text);
        sent.push(index % 3 === 1 ? one.sdk.broadcastAll(text) : one.sdk.sendToClient("b", { data: text }));
        sent.push(one.sdk.sendToClient("nobody", { data: "x" }).catch(() => {}));
      }
      await Promise.all(sent);
      await b.until(({ frames }) => frames.includes("59"));
      expect(b.frames.filter((frame) => frame !== "there")).toEqual(expected);
    });

    test("T12 a room spans nodes; the excluded one hears nothing, wherever it is", async () => {
      const { one, two } = await pair({ settings: { autoCreateRooms: true } });
      const [a, b, c, outside] = [
        await one.connect("a"),
        await two.connect("b"),
        await two.connect("c"),
        await two.connect("outside"),
      ];
      for (const client of [a, b, c])
        await client.ask({ message_id: 1, message_type: "join_room", data: { room_id: "a room/1" } });
      for (const client of [a, b, c]) client.frames.length = 0;
      a.send({ message_id: 2, message_type: "room_message", data: { room_id: "a room/1", content: "hi" } });
      for (const client of [b, c]) await client.until(({ messages }) => messages.length === 1);
      expect(b.messages[0].data).toMatchObject({ room_id: "a room/1", content: "hi", sender_id: "a" });
      await one.sdk.broadcastToRoom("a room/1", "not for b", "b");
      await mark(one, [a, b, c, outside]);
      expect(a.frames).toEqual(["not for b"]);
      expect(b.frames).toHaveLength(1);
      expect(c.frames).toHaveLength(2);
      expect(outside.frames).toEqual([]);
      // A room that only the other node knows.
      await two.sdk.createRoom("far", "Far");
      two.sdk.joinRoom("far", "b");
      expect(await one.sdk.broadcastToRoom("far", "from afar")).toEqual({
        local: 0,
        dropped: 0,
        published: true,
      });
      await b.until(({ frames }) => frames.includes("from afar"));
    });

    test("a client that moved to another node is reached there, by push and in its room", async () => {
      const { one, two } = await pair({ settings: { autoCreateRooms: true } });
      const first = await one.connect("nomad");
      await first.close();
      await until("it to be gone", () => one.sdk.getClientCount() === 0);
      const second = await two.connect("nomad");
      await one.sdk.sendToClient("nomad", { data: "still there?" });
      await second.until(({ frames }) => frames.includes("still there?"));
    });

    test("T6 a bus that refuses: a warning, and every client of this node still hears exactly once", async () => {
      const join = engine();
      const working = join();
      const one = await node(
        bentBus(working, { publish: () => Promise.reject(new PublishFailedError("the bus is ill")) }),
      );
      const a = await one.connect("a");
      one.sdk.createRoom("r", "Room");
      one.sdk.joinRoom("r", "a");
      expect(await one.sdk.broadcastAll("to all")).toEqual({ local: 1, dropped: 0, published: false });
      expect(await one.sdk.broadcastToRoom("r", "to the room")).toEqual({
        local: 1,
        dropped: 0,
        published: false,
      });
      await expect(one.sdk.sendToClient("elsewhere", { data: "x" })).rejects.toBeInstanceOf(
        ClientNotFoundError,
      );
      expect((await a.settled()).frames).toEqual(["to all", "to the room"]);
      const warnings = one.lines.filter(
        (line) => line.includes('"level":40') && line.includes("the bus is ill"),
      );
      expect(warnings).toHaveLength(1);
    });

    test("T8 a write that the bus delivers twice arrives once", async () => {
      const { one, two, join } = await pair();
      const b = await two.connect("b");
      const bus = join();
      const caught: Uint8Array[] = [];
      bus.subscribe("broadcast", (message) => caught.push(message.bytes));
      await bus.ready;
      await one.sdk.broadcastAll("once");
      await until("the envelope", () => caught.length === 1);
      await bus.publish("broadcast", caught[0] ?? new Uint8Array());
      await mark(one, [b]);
      expect(b.frames).toEqual(["once"]);
      await bus.close();
    });

    test("T9 a raw value is text for every client, also on the node that wrote it; two writes of it are two messages", async () => {
      const { one, two, join } = await pair();
      const [a, b] = [await one.connect("a"), await two.connect("b")];
      const stranger = join();
      const write = (topic: string, text: string) => stranger.publish(topic, new TextEncoder().encode(text));
      await stranger.ready;
      for (const text of ["A", "A", '{"v":1,"almost":"an envelope"}']) await write("broadcast", text);
      await write("unicast/b", "for b");
      await mark(one, [a, b]);
      expect(a.frames).toEqual(["A", "A", '{"v":1,"almost":"an envelope"}']);
      expect(b.frames).toEqual(["A", "A", '{"v":1,"almost":"an envelope"}', "for b"]);
      await stranger.close();
    });
  });
}

withEtcd.test("H12 a value that etcdctl would put arrives as text at every client", async () => {
  const join = engines.etcd?.();
  if (join === undefined || etcd === undefined) throw new Error("no etcd");
  const [one, two] = [await node(join()), await node(join())];
  const [a, b] = [await one.connect("a"), await two.connect("b")];
  await etcd.call("/v3/kv/put", { key: btoa(`/cluster${prefixes - 1}/broadcast`), value: "QQ==" });
  for (const client of [a, b]) await client.until(({ frames }) => frames.length === 1);
  expect([a.frames, b.frames]).toEqual([["A"], ["A"]]);
});

test("a hub without a bus and one alone on a memory bus differ only in whom they can ask", async () => {
  const alone = await hubNode();
  nodes.push(alone);
  await expect(alone.sdk.sendToClient("x", { data: "x" })).rejects.toBeInstanceOf(ClientNotFoundError);
  expect(await alone.sdk.broadcastAll("x")).toEqual({ local: 0, dropped: 0, published: false });
});
