// What every engine of the bus promises: the same suite runs against each sibling. The etcd engine runs on a real etcd.
import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { type Etcd, startEtcd, withEtcd, withoutEtcd } from "../../test/support/etcd.ts";
import { createLog } from "../observability/log.ts";
import { BusClosedError, TopicEmptyError } from "./errors.ts";
import { EtcdBus } from "./etcd.ts";
import { MemoryExchange } from "./memory.ts";
import type { BusCounters, MessageBus } from "./message-bus.ts";
import { stream } from "./stream.ts";

const log = createLog("silent");
const nothing: BusCounters = { publishError() {}, gap() {}, duplicate() {}, reconnect() {} };
const bytes = (text: string) => new TextEncoder().encode(text);
const textOf = (value: Uint8Array) => new TextDecoder().decode(value);

/** Texts that a node heard on a topic, with a bounded wait for the n-th. */
class Ear {
  readonly heard: string[] = [];
  readonly topics: string[] = [];
  ended = 0;
  #wake: () => void = () => {};
  readonly subscription;

  constructor(bus: MessageBus, topic: string, signal?: AbortSignal) {
    this.subscription = bus.subscribe(
      topic,
      (message) => {
        this.heard.push(textOf(message.bytes));
        this.topics.push(message.topic);
        this.#wake();
      },
      { onEnd: () => this.ended++, ...(signal === undefined ? {} : { signal }) },
    );
  }

  async until(count: number, boundMs = 5_000): Promise<string[]> {
    const deadline = performance.now() + boundMs;
    while (this.heard.length < count) {
      const left = deadline - performance.now();
      if (left <= 0) throw new Error(`heard ${this.heard.length} of ${count}: ${this.heard.join(", ")}`);
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      const timer = setTimeout(resolve, left);
      await promise;
      clearTimeout(timer);
    }
    return this.heard;
  }
}

interface Engine {
  /** A new cluster, with nodes that hear each other. */
  cluster(): Promise<() => Promise<MessageBus>>;
}

let etcd: Etcd | undefined;
let prefixes = 0;
const open: MessageBus[] = [];

const engines: Record<string, Engine> = {
  memory: {
    cluster: async () => {
      const exchange = new MemoryExchange();
      return async () => exchange.join(log);
    },
  },
  etcd: {
    cluster: async () => {
      const keyPrefix = `/test${prefixes++}`;
      return async () => {
        const bus = new EtcdBus(
          { endpoints: [etcd?.url ?? ""], dialTimeoutMs: 5_000, keyPrefix, leaseSeconds: 30 },
          nothing,
          log,
        );
        await bus.ready;
        return bus;
      };
    },
  },
};

beforeAll(async () => {
  if (!withoutEtcd) etcd = await startEtcd();
}, 20_000);
afterAll(async () => await etcd?.stop());
afterEach(async () => {
  for (const bus of open.splice(0)) await bus.close();
});

for (const [name, engine] of Object.entries(engines)) {
  withEtcd.when(name === "etcd").describe(`the ${name} bus`, () => {
    const nodes = async (count: number): Promise<MessageBus[]> => {
      const join = await engine.cluster();
      const made = await Promise.all(Array.from({ length: count }, join));
      open.push(...made);
      return made;
    };
    const pair = async (): Promise<[MessageBus, MessageBus]> => {
      const [a, b] = await nodes(2);
      if (a === undefined || b === undefined) throw new Error("no nodes");
      return [a, b];
    };

    test("carries a message to every subscriber of every node, the publisher's own included", async () => {
      const [a, b] = await pair();
      const ears = [new Ear(a, "broadcast"), new Ear(b, "broadcast"), new Ear(b, "broadcast")];
      await a.publish("broadcast", bytes("hello"));
      for (const ear of ears) expect(await ear.until(1)).toEqual(["hello"]);
    });

    test("is connected when it is ready, and not after a close", async () => {
      const [a] = await pair();
      expect(a.connected).toBe(true);
      await a.close();
      expect(a.connected).toBe(false);
    });

    test("keeps the order of one node's publishes, whatever their topics, also when nobody waits for them", async () => {
      const [a, b] = await pair();
      const heard: string[] = [];
      const all = ["broadcast", "unicast/x", "room/r"].map((topic) => new Ear(b, topic));
      for (const topic of ["broadcast", "unicast/x", "room/r"])
        b.subscribe(topic, (message) => heard.push(textOf(message.bytes)));
      const topics = ["broadcast", "unicast/x", "room/r", "broadcast", "broadcast", "unicast/x"];
      await Promise.all(
        Array.from({ length: 300 }, (_, index) =>
          a.publish(topics[index % topics.length] ?? "", bytes(String(index))),
        ),
      );
      await Promise.all(all.map((ear, index) => ear.until([150, 100, 50][index] ?? 0)));
      expect(heard).toEqual(Array.from({ length: 300 }, (_, index) => String(index)));
    });

    test("publishes without a subscriber, and gives two writes of the same bytes two revisions", async () => {
      const [a, b] = await pair();
      await a.publish("room/empty", bytes("to nobody"));
      const revisions: string[] = [];
      b.subscribe("broadcast", ({ revision }) => revisions.push(revision));
      const ear = new Ear(b, "broadcast");
      await a.publish("broadcast", bytes("same"));
      await a.publish("broadcast", bytes("same"));
      await ear.until(2);
      expect(new Set(revisions).size).toBe(2);
    });

    test("lets nobody hear what was published before it joined or subscribed", async () => {
      const join = await engine.cluster();
      const a = await join();
      open.push(a);
      await a.publish("broadcast", bytes("old"));
      const b = await join();
      open.push(b);
      const ear = new Ear(b, "broadcast");
      await a.publish("broadcast", bytes("new"));
      expect(await ear.until(1)).toEqual(["new"]);
    });

    test("keeps topics apart; an id may hold slashes, stars, spaces and letters of any language", async () => {
      const [a, b] = await pair();
      const ids = ["x", "x/y", "../broadcast", "%2F", "ö ß/日本", "*", "a!'()"];
      const ears = ids.map((id) => new Ear(b, `unicast/${id}`));
      const broadcast = new Ear(b, "broadcast");
      for (const id of ids) await a.publish(`unicast/${id}`, bytes(id));
      await a.publish("broadcast", bytes("end"));
      await broadcast.until(1);
      expect(ears.map(({ heard }) => heard)).toEqual(ids.map((id) => [id]));
      expect(broadcast.heard).toEqual(["end"]);
    });

    test("a star hears every room and every topic, nothing else; other stars are plain topics", async () => {
      const [a, b] = await pair();
      const [rooms, topics, one] = [new Ear(b, "room/*"), new Ear(b, "topic/*"), new Ear(b, "room/1")];
      const plain = new Ear(b, "unicast/*");
      for (const topic of ["room/1", "room/2", "topic/a", "unicast/1", "broadcast"])
        await a.publish(topic, bytes(topic));
      const last = new Ear(b, "broadcast");
      await a.publish("broadcast", bytes("end"));
      await last.until(1);
      expect(rooms.topics).toEqual(["room/1", "room/2"]);
      expect(topics.topics).toEqual(["topic/a"]);
      expect(one.topics).toEqual(["room/1"]);
      expect(plain.heard).toEqual([]);
      rooms.subscription.end();
      await a.publish("room/1", bytes("again"));
      await one.until(2);
      expect(rooms.heard).toHaveLength(2);
    });

    test("carries any bytes, also a megabyte of them", async () => {
      const [a, b] = await pair();
      const heard: Uint8Array[] = [];
      const ear = new Ear(b, "broadcast");
      b.subscribe("broadcast", (message) => heard.push(message.bytes));
      const every = Uint8Array.from({ length: 256 }, (_, index) => index);
      const large = new Uint8Array(1_000_000).fill(255);
      await a.publish("broadcast", every);
      await a.publish("broadcast", new Uint8Array());
      await a.publish("broadcast", large);
      await ear.until(3);
      expect(heard.map((value) => Buffer.from(value).equals(every))).toEqual([true, false, false]);
      expect(heard[1]?.byteLength).toBe(0);
      expect(Buffer.from(heard[2] ?? []).equals(large)).toBe(true);
    });

    test("a subscriber that throws stops nobody else", async () => {
      const [a, b] = await pair();
      b.subscribe("broadcast", () => {
        throw new Error("broken subscriber");
      });
      const ear = new Ear(b, "broadcast");
      await a.publish("broadcast", bytes("1"));
      await a.publish("broadcast", bytes("2"));
      expect(await ear.until(2)).toEqual(["1", "2"]);
    });

    test("a subscription ends by itself, by abort, by unsubscribe and by close, each exactly once", async () => {
      const [a] = await pair();
      const abort = new AbortController();
      const [own, aborted, topic, closed] = [
        new Ear(a, "t1"),
        new Ear(a, "t2", abort.signal),
        new Ear(a, "t3"),
        new Ear(a, "t4"),
      ];
      own.subscription.end();
      own.subscription.end();
      abort.abort();
      a.unsubscribe("t3");
      a.unsubscribe("unknown");
      expect([own, aborted, topic, closed].map(({ ended }) => ended)).toEqual([1, 1, 1, 0]);
      await a.close();
      await a.close();
      expect([own, aborted, topic, closed].map(({ ended }) => ended)).toEqual([1, 1, 1, 1]);
      expect(new Ear((await pair())[0], "t", AbortSignal.abort()).ended).toBe(1);
    });

    test("after a subscription ended, nothing is heard", async () => {
      const [a, b] = await pair();
      const [gone, stays] = [new Ear(b, "broadcast"), new Ear(b, "broadcast")];
      gone.subscription.end();
      await a.publish("broadcast", bytes("x"));
      await stays.until(1);
      expect(gone.heard).toEqual([]);
    });

    test("refuses an empty topic, and everything after its close", async () => {
      const [a] = await pair();
      await expect(a.publish("", bytes("x"))).rejects.toBeInstanceOf(TopicEmptyError);
      expect(() => a.subscribe("", () => {})).toThrow(TopicEmptyError);
      expect(() => a.unsubscribe("")).toThrow(TopicEmptyError);
      await a.close();
      await expect(a.publish("broadcast", bytes("x"))).rejects.toBeInstanceOf(BusClosedError);
      expect(() => a.subscribe("broadcast", () => {})).toThrow(BusClosedError);
    });

    test("an aborted publish rejects with the signal's reason", async () => {
      const [a] = await pair();
      const reason = new Error("changed my mind");
      await expect(a.publish("broadcast", bytes("x"), AbortSignal.abort(reason))).rejects.toBe(reason);
    });

    test("a stream gives the messages one by one, and ends with unsubscribe", async () => {
      const [a, b] = await pair();
      const messages = stream(b, "broadcast");
      for (const text of ["1", "2", "3"]) await a.publish("broadcast", bytes(text));
      const got: string[] = [];
      for await (const message of messages) {
        got.push(textOf(message.bytes));
        if (got.length === 3) b.unsubscribe("broadcast");
      }
      expect(got).toEqual(["1", "2", "3"]);
    });

    test("presence: who is where, for every node; only the holder's own entry is cleared", async () => {
      const [a, b] = await pair();
      expect(await b.presence.find("c1")).toBeUndefined();
      await a.presence.set("c1", "node-a");
      expect(await b.presence.find("c1")).toBe("node-a");
      await b.presence.set("c1", "node-b");
      await a.presence.clear("c1", "node-a");
      expect(await a.presence.find("c1")).toBe("node-b");
      await b.presence.clear("c1", "node-b");
      expect(await a.presence.find("c1")).toBeUndefined();
    });
  });
}

test("a stream whose consumer is too slow says so instead of losing messages in silence", async () => {
  const bus = new MemoryExchange().join(log);
  const messages = stream(bus, "broadcast");
  for (let index = 0; index < 10_001; index++) await bus.publish("broadcast", bytes("x"));
  let got = 0;
  const consume = async () => {
    for await (const _ of messages) got++;
  };
  await expect(consume()).rejects.toThrow("more than 10000 messages");
  await bus.close();
  expect(got).toBe(10_000);
});
