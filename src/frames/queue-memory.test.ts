// What waits in the hub is counted in its budget of memory, and given back however the waiting ends: read, handled, taken by the bus,
// or lost with its client. A budget that only grows would refuse everything one day.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { bentBus } from "../../test/support/bent-bus.ts";
import { type HubNode, type HubNodeOptions, hubNode } from "../../test/support/hub-node.ts";
import { stuckConnection } from "../../test/support/stuck-connection.ts";
import { until } from "../../test/support/until.ts";
import { MemoryExchange } from "../bus/memory.ts";
import { createLog } from "../observability/log.ts";

const KIB = 1_024;
let node: HubNode;
afterEach(async () => await node.stop());

/** Of the whole hub, as its figure says. */
function queued(): number {
  const line = node.metrics
    .render()
    .split("\n")
    .find((candidate) => candidate.startsWith("gohub_queued_bytes "));
  return Number(line?.split(" ")[1]);
}

const refusals = () => node.lines.filter((line) => line.includes("frames-queues")).length;

describe("frames for a client that does not read", () => {
  beforeEach(async () => {
    node = await hubNode();
  });

  /** Ten frames, the first of them in the socket's own buffer of 5,000 bytes. */
  async function stuck() {
    const { connection, closes } = stuckConnection(5_000);
    const client = node.hub.register({ id: "stuck" }, connection);
    for (let index = 0; index < 10; index++) {
      await node.sdk.sendToClient("stuck", { data: "x".repeat(KIB) });
      // One turn of the event loop each: what is held back for a turn's end does not wait for the client.
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(queued()).toBeWithin(10 * KIB + 5_000, 20 * KIB);
    return { client, closes };
  }

  test("are given back when it reads", async () => {
    const { client } = await stuck();
    for (let index = 0; index < 10; index++) client.drained();
    expect(queued()).toBe(0);
  });

  test("are given back when it goes", async () => {
    const { client } = await stuck();
    client.ended(1006, "");
    expect(queued()).toBe(0);
  });

  test("are what the memory of the whole server counts and can have back, from each client once", async () => {
    const { closes } = await stuck();
    const [own] = [...node.limits.memory.users()].filter(({ name }) => name === "frames hub");
    expect(own?.held()).toBeWithin(10 * KIB, 20 * KIB - 5_000);
    expect(own?.giveUp?.()).toBeGreaterThan(10 * KIB);
    expect(closes).toEqual([[4002, "slow client"]]);
    expect([own?.held(), own?.giveUp?.(), refusals()]).toEqual([0, 0, 1]);
    node.sdk.close();
    expect([...node.limits.memory.users()].map(({ name }) => name)).not.toContain("frames hub");
  });
});

describe("messages that wait for a handler", () => {
  let gate: PromiseWithResolvers<void>;
  beforeEach(async () => {
    node = await hubNode({ settings: { maxQueuedBytes: 64 * KIB } });
    gate = Promise.withResolvers();
    node.sdk.registerMessageHandler("wait", { handle: () => gate.promise });
  });

  const send = async (count: number) => {
    const client = await node.connect("a");
    for (let id = 1; id <= count; id++)
      client.send({ message_id: id, message_type: "wait", data: "x".repeat(KIB) });
    return client;
  };

  test("are given back when they are handled", async () => {
    const client = await send(6);
    await until("them to wait", () => queued() > 5 * KIB);
    gate.resolve();
    await client.settled();
    expect(queued()).toBe(0);
  });

  test("are given back, and not handled, when their client goes", async () => {
    let handled = 0;
    node.sdk.on("client_message", () => handled++);
    const client = await send(6);
    await until("them to wait", () => queued() > 5 * KIB);
    await client.close();
    await until("its end", () => node.sdk.getClientCount() === 0);
    expect(queued()).toBe(0);
    gate.resolve();
    await until("the handler to end", () => handled === 1);
    await new Promise((resolve) => setImmediate(resolve));
    expect(handled).toBe(1);
  });

  test("are refused with 1005 beyond a quarter of the budget", async () => {
    const client = await send(30);
    await client.until(({ messages }) => messages.length > 10);
    expect(queued()).toBeWithin(12 * KIB, 16 * KIB);
    expect(client.messages[0]).toMatchObject({ message_type: "error", data: { code: 1005 } });
    gate.resolve();
    await client.settled();
    expect(queued()).toBe(0);
  });
});

describe("messages that wait for the bus", () => {
  let taken: PromiseWithResolvers<void>;
  beforeEach(async () => {
    taken = Promise.withResolvers();
    const bus = new MemoryExchange().join(createLog("silent"));
    const slow = bentBus(bus, { publish: () => taken.promise });
    const options: HubNodeOptions = { bus: slow, settings: { maxQueuedBytes: 64 * KIB } };
    node = await hubNode(options);
  });

  test("are given back when it takes them", async () => {
    const all = Promise.all([
      node.sdk.broadcastAll("x".repeat(KIB)),
      node.sdk.sendToClient("elsewhere", { data: "x".repeat(KIB) }),
      node.sdk.broadcastToRoom("r", "x".repeat(KIB)),
    ]);
    expect(queued()).toBeWithin(3 * KIB, 12 * KIB);
    taken.resolve();
    await all;
    expect(queued()).toBe(0);
  });

  test("are given back when it does not", async () => {
    const broadcast = node.sdk.broadcastAll("x");
    taken.reject(new Error("the bus is ill"));
    expect((await broadcast).published).toBe(false);
    expect(queued()).toBe(0);
  });

  test("do not leave beyond a quarter of the budget, which is counted and logged; this node hears them", async () => {
    const client = await node.connect("a");
    const broadcasts = Array.from({ length: 20 }, (_, index) =>
      node.sdk.broadcastAll(`${index}`.padEnd(KIB)),
    );
    expect(queued()).toBeLessThanOrEqual(16 * KIB);
    taken.resolve();
    const published = (await Promise.all(broadcasts)).map((result) => result.published);
    expect(published.lastIndexOf(true)).toBe(published.indexOf(false) - 1);
    expect(published.filter(Boolean).length).toBeWithin(4, 10);
    expect(node.metrics.render()).toContain(
      `gohub_errors_total ${published.filter((each) => !each).length}\n`,
    );
    expect(refusals()).toBeGreaterThan(0);
    await client.until(({ frames }) => frames.length === 20);
  });
});
