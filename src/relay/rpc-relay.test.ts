// What a relay promises to every protocol, in codes: who answers, how calls end, and what waiting calls may hold in memory. The waits
// as one protocol has them are in test/promises/rpc-timing.test.ts.
import { expect, test } from "bun:test";
import { MemoryCeiling } from "../limits/memory-ceiling.ts";
import type { RelayOutcome } from "./outcome.ts";
import { type RelayLimits, type RelayParts, type RelayTiming, RpcRelay } from "./rpc-relay.ts";
import { AnswerTooLarge, type RpcTarget } from "./target.ts";

const MIB = 1024 * 1024;
/** A wait that this test must not end. */
const NEVER = 3_600_000;
const LIMITS: RelayLimits = {
  methods: 3,
  methodLength: 20,
  calls: 4,
  paramsBytes: 8 * MIB,
  ownerBytes: 12 * MIB,
};
const PATIENT: RelayTiming = { waitMs: NEVER, answerMs: NEVER, unregisteredMs: NEVER };

function relayWith(timing: Partial<RelayTiming> = {}, parts: Partial<RelayParts> = {}): RpcRelay {
  return new RpcRelay({ name: "calls", timing: { ...PATIENT, ...timing }, limits: LIMITS, ...parts });
}

const call = (relay: RpcRelay, params?: unknown, { owner = "me", caller = "caller", method = "m" } = {}) =>
  relay.call({ owner, caller, method, params });
const turn = () => new Promise((resolve) => setImmediate(resolve));
const failed = (code: string) => ({ ok: false, code }) as RelayOutcome;

interface Asked {
  readonly params: unknown;
  readonly timeoutMs: number;
  answer(result: unknown): void;
  fail(error: Error): void;
}

/** Keeps what it was asked until the test answers. */
class Target implements RpcTarget {
  readonly asked: Asked[] = [];

  constructor(readonly id: string) {}

  request(_method: string, params: unknown, timeoutMs: number): Promise<{ result?: unknown }> {
    return new Promise((resolve, reject) => {
      this.asked.push({ params, timeoutMs, answer: (result) => resolve({ result }), fail: reject });
    });
  }
}

/** Answers at once with its own name. */
const echo = (id: string): RpcTarget => ({ id, request: () => Promise.resolve({ result: id }) });

test("the newest registrant answers, then the one before it; registering again makes no one newer", async () => {
  const relay = relayWith({ waitMs: 0 });
  for (const id of ["old", "middle", "new"]) relay.register("me", "m", echo(id));
  relay.register("me", "m", echo("old"));
  expect(await call(relay)).toEqual({ ok: true, result: "new" });
  expect(await call(relay, 1, { caller: "new" })).toEqual({ ok: true, result: "middle" });
  relay.disconnect("new");
  expect(await call(relay)).toEqual({ ok: true, result: "middle" });
  relay.unregister("me", "m", "middle");
  expect(await call(relay)).toEqual({ ok: true, result: "old" });
  expect(await call(relay, 1, { caller: "old" })).toEqual(failed("own-method"));
  relay.disconnect("old");
  expect(await call(relay)).toEqual(failed("not-available"));
});

test("owners share no method, whatever characters their names have", async () => {
  const relay = relayWith({ waitMs: 0 });
  relay.register("a\nb", "c", echo("theirs"));
  relay.register("1", "0 x", echo("theirs"));
  const others = [
    { owner: "a", method: "b\nc" },
    { owner: "a\nb\nc", method: "" },
    { owner: "a\n", method: "bc" },
    { owner: "10", method: " x" },
    { owner: "", method: "10 x" },
  ];
  for (const other of others) expect(await call(relay, 1, other)).toEqual(failed("not-available"));
  expect(await call(relay, 1, { owner: "a\nb", method: "c" })).toMatchObject({ ok: true });
});

test("a call may have its own time for an answer", async () => {
  const relay = relayWith({ answerMs: 30_000 });
  const target = new Target("t");
  relay.register("me", "m", target);
  void call(relay);
  void relay.call({ owner: "me", caller: "caller", method: "m", params: 1, answerMs: 120_000 });
  await turn();
  expect(target.asked.map(({ timeoutMs }) => timeoutMs)).toEqual([30_000, 120_000]);
});

test("without a wait a call that nobody can answer ends in the same turn", async () => {
  const relay = relayWith({ waitMs: 0 });
  const ended = call(relay);
  let isOver = false;
  void ended.then(() => {
    isOver = true;
  });
  await turn();
  expect(isOver).toBe(true);
});

test("a call waits for its method, and the next registration of it ends the wait at once", async () => {
  const relay = relayWith();
  const calling = [call(relay, 1), call(relay, 2)];
  await turn();
  relay.register("me", "m", echo("late"));
  expect(await Promise.all(calling)).toEqual([
    { ok: true, result: "late" },
    { ok: true, result: "late" },
  ]);
});

test("a refusal of the target that is no answer at all counts as none in time", async () => {
  const relay = relayWith();
  const target = new Target("t");
  relay.register("me", "m", target);
  const calling = call(relay);
  await turn();
  target.asked[0]?.fail(new Error("operation has timed out"));
  expect(await calling).toEqual(failed("timed-out"));
});

test("an answer that is too large fails its own call only, and so do parameters", async () => {
  const relay = relayWith();
  const target = new Target("t");
  relay.register("me", "m", target);
  const [large, small] = [call(relay), call(relay)];
  expect(await call(relay, "x".repeat(8 * MIB + 1))).toEqual(failed("params-too-large"));
  target.asked[0]?.fail(new AnswerTooLarge());
  target.asked[1]?.answer(1);
  expect(await large).toEqual(failed("answer-too-large"));
  expect(await small).toEqual({ ok: true, result: 1 });
});

test("a socket that closes ends the calls that it was asked, and no other's", async () => {
  const relay = relayWith();
  const [one, other] = [new Target("one"), new Target("other")];
  relay.register("me", "m", one);
  relay.register("me", "n", other);
  const [first, second] = [call(relay, 1), call(relay, 2, { method: "n" })];
  await turn();
  relay.disconnect("one");
  relay.disconnect("stranger");
  expect(await first).toEqual(failed("disconnected"));
  one.asked[0]?.answer("too late");
  other.asked[0]?.answer("mine");
  expect(await second).toEqual({ ok: true, result: "mine" });
});

test("an answer after its call's end does not loosen the calls that its target has been asked since", async () => {
  const relay = relayWith({ unregisteredMs: 1 });
  const target = new Target("t");
  relay.register("me", "m", target);
  const first = call(relay);
  await turn();
  relay.unregister("me", "m", "t");
  expect(await first).toEqual(failed("disconnected"));
  relay.register("me", "m", target);
  const second = call(relay);
  await turn();
  target.asked[0]?.answer("too late");
  await turn();
  relay.disconnect("t");
  expect(await second).toEqual(failed("disconnected"));
});

test("a target that unregistered may come back within its time: the call goes on, however often it does", async () => {
  const relay = relayWith({ unregisteredMs: 30 });
  const target = new Target("t");
  relay.register("me", "m", target);
  const calling = call(relay);
  await turn();
  for (let round = 0; round < 3; round++) {
    relay.unregister("me", "m", "t");
    relay.register("me", "m", target);
  }
  // Another method's end shows that the time of the first would be over.
  relay.register("me", "marker", target);
  const marker = call(relay, 1, { method: "marker" });
  await turn();
  relay.unregister("me", "marker", "t");
  expect(await marker).toEqual(failed("disconnected"));
  target.asked[0]?.answer("still here");
  expect(await calling).toEqual({ ok: true, result: "still here" });
});

test("a target that came back and unregisters again has its time once more, and no longer", async () => {
  const relay = relayWith({ unregisteredMs: 1 });
  const target = new Target("t");
  relay.register("me", "m", target);
  const calling = call(relay);
  await turn();
  relay.unregister("me", "m", "t");
  relay.register("me", "m", target);
  relay.unregister("me", "m", "t");
  expect(await calling).toEqual(failed("disconnected"));
});

test("methods of one socket and the length of their names are bounded; one that goes makes room", async () => {
  const relay = relayWith({ waitMs: 0 });
  expect(relay.register("me", "x".repeat(21), echo("t"))).toBe(false);
  for (const [method, fits] of [
    ["a", true],
    ["b", true],
    ["c", true],
    ["d", false],
    ["a", true],
  ] as const)
    expect(relay.register("me", method, echo("t"))).toBe(fits);
  expect(relay.register("me", "d", echo("u"))).toBe(true);
  relay.unregister("me", "b", "t");
  expect(relay.register("me", "d", echo("t"))).toBe(true);
  expect(await call(relay, 1, { method: "x".repeat(21) })).toEqual(failed("not-available"));
});

test("calls of one caller are bounded, and every end makes room again", async () => {
  const relay = relayWith({ waitMs: 20 });
  const calls = Array.from({ length: 5 }, () => call(relay));
  expect(await calls[4]).toEqual(failed("too-many"));
  // Another caller's are counted apart.
  const other = call(relay, 1, { caller: "other" });
  for (const ended of [...calls.slice(0, 4), other]) expect(await ended).toEqual(failed("not-available"));
  const again = Array.from({ length: 4 }, () => call(relay));
  for (const ended of again) expect(await ended).toEqual(failed("not-available"));
});

test("parameters of one owner are bounded, and every end makes room again", async () => {
  const relay = relayWith();
  const target = new Target("t");
  relay.register("me", "m", target);
  const large = "x".repeat(6 * MIB);
  const calls = [call(relay, large, { caller: "a" }), call(relay, large, { caller: "b" })];
  expect(await call(relay, "x", { caller: "c" })).toEqual(failed("too-many"));
  await turn();
  target.asked[0]?.answer("done");
  expect(await calls[0]).toEqual({ ok: true, result: "done" });
  const again = call(relay, large, { caller: "c" });
  await turn();
  for (const { answer } of target.asked) answer("done");
  expect(await again).toEqual({ ok: true, result: "done" });
});

test("parameters that wait count under the ceiling of memory, and a call that does not fit is refused", async () => {
  const memory = new MemoryCeiling(() => 10 * MIB);
  const relay = relayWith({ waitMs: 200 }, { memory });
  const waiting = call(relay, "x".repeat(6 * MIB));
  expect(memory.heldBytes).toBe(6 * MIB);
  expect(await call(relay, "x".repeat(5 * MIB), { owner: "you" })).toEqual(failed("too-many"));
  expect(memory.heldBytes).toBe(6 * MIB);
  const small = call(relay, { not: "text" }, { owner: "you" });
  expect(memory.heldBytes).toBe(6 * MIB + '{"not":"text"}'.length);
  expect(await waiting).toEqual(failed("not-available"));
  await small;
  expect(memory.heldBytes).toBe(0);
});

test("when other parts need the memory, the largest call is given up, once", async () => {
  let others = 0;
  const gone: [string, number][] = [];
  const memory = new MemoryCeiling(
    () => 10 * MIB,
    (part, bytes) => gone.push([part, bytes]),
  );
  memory.join({ name: "others", held: () => others });
  const relay = relayWith({}, { memory });
  const target = new Target("t");
  relay.register("me", "m", target);
  const small = call(relay, "x".repeat(MIB));
  const large = call(relay, "x".repeat(5 * MIB));
  others = 6 * MIB;
  memory.relieve();
  expect(await large).toEqual(failed("too-many"));
  expect(gone).toEqual([["calls", 5 * MIB]]);
  expect(memory.heldBytes).toBe(7 * MIB);
  await turn();
  for (const { answer } of target.asked) answer("done");
  expect(await small).toEqual({ ok: true, result: "done" });
  expect(memory.heldBytes).toBe(6 * MIB);
});
