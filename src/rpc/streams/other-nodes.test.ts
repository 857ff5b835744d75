// The way to other nodes: what is not understood is left alone, and a bus that is away collects nothing.
import { expect, test } from "bun:test";
import { NO_COUNTERS } from "../../../test/support/hub-node.ts";
import { until } from "../../../test/support/until.ts";
import { MemoryExchange } from "../../bus/memory.ts";
import type { MessageBus } from "../../bus/message-bus.ts";
import { BusNode } from "../../bus/node.ts";
import { createLog } from "../../observability/log.ts";
import type { ControlRequest } from "../wire/stream-control.ts";
import { OtherNodes } from "./other-nodes.ts";

const OWNER = { tenant: "t", principal: "p", verified: true };
const CANCEL: ControlRequest = {
  streamId: "s",
  requestId: undefined,
  wish: { type: "cancel", reason: "why" },
};

function node(bus: MessageBus) {
  const lines: string[] = [];
  const wished: unknown[] = [];
  const nodes = new OtherNodes({
    cluster: { bus, counters: NO_COUNTERS, timeoutMs: 5_000 },
    log: createLog("warn", { write: (line: string) => lines.push(line) }),
    wished: (...facts) => wished.push(facts),
  });
  return { nodes, lines, wished };
}

test("a wish arrives at the others as it was, and never at who sent it", async () => {
  const exchange = new MemoryExchange();
  const log = createLog("silent");
  const [a, b] = [node(exchange.join(log)), node(exchange.join(log))];
  const ack: ControlRequest = { streamId: undefined, requestId: "r", wish: { type: "ack", sequence: 3 } };
  expect([await a.nodes.forward(CANCEL, OWNER), await a.nodes.forward(ack, OWNER)]).toEqual(["sent", "sent"]);
  await until("both", () => b.wished.length === 2);
  expect(b.wished).toEqual([
    [CANCEL, OWNER],
    [ack, OWNER],
  ]);
  expect(a.wished).toEqual([]);
  b.nodes.close();
  await a.nodes.forward(CANCEL, OWNER);
  expect(b.wished.length).toBe(2);
});

test("what a node of another version says is left alone, and the next is heard", async () => {
  const exchange = new MemoryExchange();
  const log = createLog("silent");
  const one = node(exchange.join(log));
  const bus = exchange.join(log);
  const stranger = new BusNode({ bus, counters: NO_COUNTERS, timeoutMs: 5_000, log });
  for (const payload of [
    "",
    "{",
    "[]",
    '{"v":2}',
    JSON.stringify({ v: 1, wish: { type: "pause" }, ...OWNER }),
  ])
    await stranger.publish("rpc/stream-control", { kind: "custom", payload });
  await stranger.publish("rpc/stream-control", { kind: "custom", payload: new Uint8Array([1]) });
  await until("all to be said", () => one.lines.length === 6);
  await node(bus).nodes.forward(CANCEL, OWNER);
  await until("the next", () => one.wished.length === 1);
});

test("while the bus hangs, so many wait for it and no more", async () => {
  const bus = new MemoryExchange().join(createLog("silent"));
  const gate = Promise.withResolvers<void>();
  const slow = Object.create(bus, { publish: { value: () => gate.promise } }) as MessageBus;
  slow.subscribe = (...facts) => bus.subscribe(...facts);
  const { nodes } = node(slow);
  const waiting = Array.from({ length: 64 }, () => nodes.forward(CANCEL, OWNER));
  expect(await nodes.forward(CANCEL, OWNER)).toBe("busy");
  gate.resolve();
  expect(new Set(await Promise.all(waiting))).toEqual(new Set(["sent"]));
  expect(await nodes.forward(CANCEL, OWNER)).toBe("sent");
});
