// One speaker on the bus: hears others exactly once, itself never, and raw text as text.
import { afterEach, expect, test } from "bun:test";
import { bentBus } from "../../test/support/bent-bus.ts";
import { createLog } from "../observability/log.ts";
import { MemoryExchange } from "./memory.ts";
import type { BusCounters, BusListener, MessageBus } from "./message-bus.ts";
import { BusNode, type Incoming } from "./node.ts";

const log = createLog("silent");
const cleanup: (() => void)[] = [];
afterEach(() => {
  for (const step of cleanup.splice(0)) step();
});

function counters() {
  const counts = { errors: 0, duplicates: 0 };
  const bus: BusCounters = {
    publishError: () => counts.errors++,
    duplicate: () => counts.duplicates++,
    gap() {},
    reconnect() {},
  };
  return { counts, bus };
}

function node(bus: MessageBus, lines: string[] = []) {
  const { counts, bus: counting } = counters();
  const made = new BusNode({
    bus,
    counters: counting,
    log: createLog("warn", { write: (line: string) => lines.push(line) }),
    timeoutMs: 100,
  });
  cleanup.push(() => made.close());
  const heard: Incoming[] = [];
  made.listen("broadcast", (message) => heard.push(message));
  return { node: made, heard, counts };
}

test("others hear a message once with its payload and exclusion; the speaker does not hear itself", async () => {
  const exchange = new MemoryExchange();
  const [a, b] = [node(exchange.join(log)), node(exchange.join(log))];
  expect(await a.node.publish("broadcast", { kind: "room", roomId: "r", exclude: "c", payload: "x" })).toBe(
    true,
  );
  expect(b.heard).toEqual([{ topic: "broadcast", payload: "x", exclude: "c" }]);
  expect(a.heard).toEqual([]);
});

test("two nodes on one bus of one process are two speakers", async () => {
  const bus = new MemoryExchange().join(log);
  const [a, b] = [node(bus), node(bus)];
  expect(a.node.id).not.toBe(b.node.id);
  await a.node.publish("broadcast", { kind: "broadcast", payload: "x" });
  expect([a.heard.length, b.heard.length]).toEqual([0, 1]);
});

test("T8: the same envelope delivered twice arrives once; equal payloads in two envelopes arrive twice", async () => {
  const exchange = new MemoryExchange();
  const bus = exchange.join(log);
  const [a, b] = [node(bus), node(exchange.join(log))];
  let envelope: Uint8Array | undefined;
  bus.subscribe("broadcast", ({ bytes }) => {
    envelope ??= bytes;
  });
  await a.node.publish("broadcast", { kind: "broadcast", payload: "same" });
  await bus.publish("broadcast", envelope ?? new Uint8Array());
  expect(b.heard).toHaveLength(1);
  expect(b.counts.duplicates).toBe(1);
  await a.node.publish("broadcast", { kind: "broadcast", payload: "same" });
  expect(b.heard).toHaveLength(2);
});

test("raw text arrives as it is; a repeated write arrives again, a repeated delivery does not", async () => {
  const listeners: BusListener[] = [];
  const exchange = new MemoryExchange();
  const bus = exchange.join(log);
  const watched = bentBus(bus, {
    subscribe: (topic, listener) => {
      listeners.push(listener);
      return bus.subscribe(topic, listener);
    },
  });
  const { heard, counts } = node(watched);
  const bytes = new TextEncoder().encode("A");
  for (const revision of ["5", "5", "6"])
    for (const listener of listeners) listener({ topic: "broadcast", bytes, revision });
  expect(heard.map(({ payload }) => payload)).toEqual(["A", "A"]);
  expect(counts.duplicates).toBe(1);
});

test("a bus that does not take a message is a warning and an answer, never an error; warnings do not flood", async () => {
  const bus = new MemoryExchange().join(log);
  const lines: string[] = [];
  const { node: speaker, counts } = node(bus, lines);
  await bus.close();
  const results = await Promise.all(
    Array.from({ length: 50 }, () =>
      speaker.publish("broadcast", { kind: "broadcast", payload: "secret words" }),
    ),
  );
  expect(new Set(results)).toEqual(new Set([false]));
  expect(counts.errors).toBe(50);
  expect(lines).toHaveLength(1);
  expect(lines[0]).toContain("only clients of this node hear it");
  expect(lines[0]).not.toContain("secret words");
});

test("a bus that does not answer costs no more than the time it was given", async () => {
  const bus = new MemoryExchange().join(log);
  const stuck = bentBus(bus, {
    publish: (_topic, _bytes, signal) =>
      new Promise((_resolve, reject) => {
        signal?.addEventListener("abort", () => reject(signal.reason));
      }),
  });
  const { node: speaker } = node(stuck);
  const began = performance.now();
  expect(await speaker.publish("broadcast", { kind: "broadcast", payload: "x" })).toBe(false);
  expect(performance.now() - began).toBeWithin(90, 1_000);
});

test("a closed node hears nothing more, and leaves the bus to others", async () => {
  const exchange = new MemoryExchange();
  const bus = exchange.join(log);
  const [gone, stays, speaker] = [node(bus), node(bus), node(exchange.join(log))];
  gone.node.close();
  await speaker.node.publish("broadcast", { kind: "broadcast", payload: "x" });
  expect([gone.heard.length, stays.heard.length]).toEqual([0, 1]);
});
