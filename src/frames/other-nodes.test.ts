// The hub's line to other nodes when clients come and go: nothing of a client that is gone stays on the bus, and its presence is neither
// lost to a replacement nor taken for another node's.
import { afterEach, describe, expect, test } from "bun:test";
import { bentBus } from "../../test/support/bent-bus.ts";
import { type HubNode, hubNode } from "../../test/support/hub-node.ts";
import { stuckConnection } from "../../test/support/stuck-connection.ts";
import { MemoryExchange } from "../bus/memory.ts";
import type { MessageBus } from "../bus/message-bus.ts";
import { createLog } from "../observability/log.ts";
import { ClientNotFoundError } from "./errors.ts";

const log = createLog("silent");
const nodes: HubNode[] = [];
afterEach(async () => {
  for (const node of nodes.splice(0)) await node.stop();
});
async function start(bus: MessageBus, presence = false): Promise<HubNode> {
  const node = await hubNode({ bus, settings: { presence } });
  nodes.push(node);
  return node;
}

/** A bus that says to which topics it has subscriptions now. */
function watched(exchange = new MemoryExchange()) {
  const bus = exchange.join(log);
  const topics: string[] = [];
  const bent = bentBus(bus, {
    subscribe: (topic, listener, options) => {
      topics.push(topic);
      return bus.subscribe(topic, listener, {
        ...options,
        onEnd: () => {
          topics.splice(topics.indexOf(topic), 1);
          options?.onEnd?.();
        },
      });
    },
  });
  return { bus: bent, topics };
}
const settled = () => new Promise<void>((resolve) => setImmediate(resolve));

describe("what this node listens to", () => {
  test("is its broadcasts, its rooms and each of its clients, while they are here; nothing after its end", async () => {
    const { bus, topics } = watched();
    const node = await start(bus);
    expect(topics).toEqual(["broadcast", "room/*"]);
    const client = node.hub.register({ id: "a/b" }, stuckConnection().connection);
    expect(topics).toEqual(["broadcast", "room/*", "unicast/a/b"]);
    client.ended(1006, "");
    expect(topics).toEqual(["broadcast", "room/*"]);
    node.hub.register({ id: "c" }, stuckConnection().connection);
    node.sdk.close();
    expect(topics).toEqual([]);
    expect(bus.connected).toBe(true);
  });

  test("is one line a client, also when it was replaced", async () => {
    const { bus, topics } = watched();
    const node = await start(bus);
    const old = node.hub.register({ id: "same" }, stuckConnection().connection);
    node.hub.register({ id: "same" }, stuckConnection().connection);
    old.ended(1006, "");
    expect(topics).toEqual(["broadcast", "room/*", "unicast/same"]);
  });

  test("a client whose id is a star hears what is for it, and not what is for others", async () => {
    const exchange = new MemoryExchange();
    const [one, two] = [await start(exchange.join(log)), await start(exchange.join(log))];
    const star = await two.connect("*");
    await one.sdk.sendToClient("other", { data: "for another" });
    await one.sdk.sendToClient("*", { data: "for the star" });
    await star.until(({ frames }) => frames.length > 0);
    expect((await star.settled()).frames).toEqual(["for the star"]);
  });
});

describe("presence", () => {
  test("of a client that was replaced on its node stays", async () => {
    const exchange = new MemoryExchange();
    const [one, two] = [await start(exchange.join(log), true), await start(exchange.join(log), true)];
    two.hub.register({ id: "same" }, stuckConnection().connection);
    two.hub.register({ id: "same" }, stuckConnection().connection);
    await settled();
    await one.sdk.sendToClient("same", { data: "hello" });
    await settled();
    expect(two.hub.getClient("same").closed).toBe(false);
  });

  test("of a client that is gone is cleared", async () => {
    const exchange = new MemoryExchange();
    const [one, two] = [await start(exchange.join(log), true), await start(exchange.join(log), true)];
    two.hub.register({ id: "a" }, stuckConnection().connection).ended(1000, "");
    await settled();
    await expect(one.sdk.sendToClient("a", { data: "x" })).rejects.toBeInstanceOf(ClientNotFoundError);
  });

  test("that names this very node is nobody's: the client has just gone", async () => {
    const bus = new MemoryExchange().join(log);
    const { presence } = bus;
    const published: string[] = [];
    const forgetful = bentBus(bus, {
      presence: { set: presence.set, find: presence.find, clear: async () => {} },
      publish: async (topic) => void published.push(topic),
    });
    const node = await start(forgetful, true);
    node.hub.register({ id: "a" }, stuckConnection().connection).ended(1000, "");
    await settled();
    await expect(node.sdk.sendToClient("a", { data: "x" })).rejects.toBeInstanceOf(ClientNotFoundError);
    expect(published).toEqual([]);
  });

  test("that cannot be read is an error for the sender and a line in the log", async () => {
    const bus = new MemoryExchange().join(log);
    const ill = bentBus(bus, {
      presence: { ...bus.presence, find: () => Promise.reject(new Error("the board is ill")) },
    });
    const node = await start(ill, true);
    await expect(node.sdk.sendToClient("a", { data: "x" })).rejects.toBeInstanceOf(ClientNotFoundError);
    expect(node.lines.filter((line) => line.includes("the board is ill"))).toHaveLength(1);
  });
});
