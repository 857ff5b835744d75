// What waiting calls hold in memory is bounded, for one call, one account and the whole server.
import { expect, test } from "bun:test";
import { MemoryCeiling } from "../../limits/memory-ceiling.ts";
import { AnswerTooLarge, RpcRelay, type RpcTarget } from "./rpc-relay.ts";

const MIB = 1024 * 1024;
const TIMING = { waitMs: 200, answerMs: 200, unregisteredMs: 20 };
const TOO_MANY = { ok: false, error: "Too many calls in flight" };

test("parameters that wait count under the ceiling of memory, and a call that does not fit is refused", async () => {
  const memory = new MemoryCeiling(() => 10 * MIB);
  const relay = new RpcRelay(TIMING, memory);
  const waiting = relay.call("a", "s", "m", "x".repeat(6 * MIB));
  expect(memory.heldBytes).toBe(6 * MIB);
  expect(await relay.call("b", "t", "m", "x".repeat(5 * MIB))).toEqual(TOO_MANY);
  const small = relay.call("b", "t", "m", "x");
  expect(await waiting).toEqual({ ok: false, error: "RPC method not available" });
  await small;
  expect(memory.heldBytes).toBe(0);
});

test("when other parts need the memory, the largest call is given up", async () => {
  let others = 0;
  const memory = new MemoryCeiling(() => 10 * MIB);
  memory.join({ name: "others", held: () => others });
  const relay = new RpcRelay(TIMING, memory);
  const large = relay.call("a", "s", "m", "x".repeat(5 * MIB));
  const small = relay.call("a", "s", "m", "x".repeat(MIB));
  others = 6 * MIB;
  memory.relieve();
  expect(await large).toEqual(TOO_MANY);
  expect(await small).toEqual({ ok: false, error: "RPC method not available" });
  expect(memory.heldBytes).toBe(6 * MIB);
});

test("an answer that is too large fails its own call only", async () => {
  const relay = new RpcRelay(TIMING);
  let answer: () => Promise<{ result?: unknown }> = () => Promise.reject(new AnswerTooLarge());
  const target: RpcTarget = { id: "t", request: () => answer() };
  relay.register("a", "m", target);
  expect(await relay.call("a", "s", "m", undefined)).toEqual({ ok: false, error: "RPC answer too large" });
  answer = () => Promise.resolve({ result: 1 });
  expect(await relay.call("a", "s", "m", undefined)).toEqual({ ok: true, result: 1 });
  expect(await relay.call("a", "s", "m", "x".repeat(8 * MIB + 1))).toEqual({
    ok: false,
    error: "RPC parameters too large",
  });
});
