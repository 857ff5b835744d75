// The relay's waits with their clock wound fast: for a registration, for an answer, and for a target that has unregistered.
import { expect, setDefaultTimeout, test } from "bun:test";
import { happyRelay, RPC_TIMING, rpcAnswer } from "../../src/happy/realtime/rpc.ts";
import type { RpcRelay } from "../../src/relay/rpc-relay.ts";
import type { RpcTarget } from "../../src/relay/target.ts";

// A busy machine is slow, not wrong.
setDefaultTimeout(30_000);

const FAST = { waitMs: 60, answerMs: 60, unregisteredMs: 60 };
/** A wait that this test must not end. */
const NEVER = 3_600_000;

interface Asked {
  readonly method: string;
  readonly params: unknown;
  readonly timeoutMs: number;
  answer(result?: unknown): void;
}

/** A target that keeps what it was asked; its own timer is as good as that of a socket. */
class Daemon implements RpcTarget {
  readonly asked: Asked[] = [];

  constructor(readonly id: string) {}

  request(method: string, params: unknown, timeoutMs: number): Promise<{ readonly result?: unknown }> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error("operation has timed out")), timeoutMs);
      const answer = (result?: unknown) => {
        clearTimeout(timer);
        resolve(result === undefined ? {} : { result });
      };
      this.asked.push({ method, params, timeoutMs, answer });
    });
  }
}

const gone = { ok: false, error: "RPC target disconnected" };
/** What its caller is told. */
const call = async (relay: RpcRelay, owner: string, caller: string, method: string, params: unknown) =>
  rpcAnswer(await relay.call({ owner, caller, method, params }));
const turn = () => new Promise((resolve) => setImmediate(resolve));

async function took<T>(work: Promise<T>): Promise<{ result: T; ms: number }> {
  const begun = performance.now();
  return { result: await work, ms: performance.now() - begun };
}

test("in life it waits 15 s for a registration, 30 s for an answer, 4 s for a target that unregistered", () => {
  expect(RPC_TIMING).toEqual({ waitMs: 15_000, answerMs: 30_000, unregisteredMs: 4_000 });
});

test("a method that nobody registers is not available when the wait is over, and not before", async () => {
  const relay = happyRelay({ ...FAST, answerMs: NEVER });
  const { result, ms } = await took(call(relay, "me", "caller", "m", undefined));
  expect(result).toEqual({ ok: false, error: "RPC method not available" });
  expect(ms).toBeGreaterThanOrEqual(FAST.waitMs - 5);
});

test("a registration of another method or another account does not end the wait", async () => {
  const relay = happyRelay(FAST);
  const calling = took(call(relay, "me", "caller", "m", undefined));
  await turn();
  relay.register("me", "other", new Daemon("a"));
  relay.register("you", "m", new Daemon("b"));
  const { result, ms } = await calling;
  expect(result).toEqual({ ok: false, error: "RPC method not available" });
  expect(ms).toBeGreaterThanOrEqual(FAST.waitMs - 5);
});

test("a caller that registers what it waits for is told that it calls itself", async () => {
  const relay = happyRelay(FAST);
  const calling = call(relay, "me", "caller", "m", undefined);
  await turn();
  relay.register("me", "m", new Daemon("caller"));
  expect(await calling).toEqual({ ok: false, error: "Cannot call RPC on the same socket" });
});

test("a target that does not answer in time ends the call, and its later answer goes nowhere", async () => {
  const relay = happyRelay({ ...FAST, waitMs: NEVER });
  const daemon = new Daemon("daemon");
  relay.register("me", "m", daemon);
  const { result, ms } = await took(call(relay, "me", "caller", "m", "p"));
  expect(result).toEqual({ ok: false, error: "operation has timed out" });
  expect(ms).toBeGreaterThanOrEqual(FAST.answerMs - 5);
  expect(daemon.asked).toMatchObject([{ method: "m", params: "p", timeoutMs: FAST.answerMs }]);
  daemon.asked[0]?.answer("late");
});

test("a target that unregistered is given its time; then the call ends", async () => {
  const relay = happyRelay({ ...FAST, answerMs: NEVER });
  const daemon = new Daemon("daemon");
  relay.register("me", "m", daemon);
  const calling = took(call(relay, "me", "caller", "m", undefined));
  await turn();
  relay.unregister("me", "m", "daemon");
  relay.unregister("me", "m", "daemon");
  const { result, ms } = await calling;
  expect(result).toEqual(gone);
  expect(ms).toBeGreaterThanOrEqual(FAST.unregisteredMs - 5);
  daemon.asked[0]?.answer();
});

test("within that time its answer counts, and so does its registering again", async () => {
  const relay = happyRelay({ waitMs: NEVER, answerMs: NEVER, unregisteredMs: 60 });
  const daemon = new Daemon("daemon");
  relay.register("me", "m", daemon);
  const [answered, patient] = [call(relay, "me", "a", "m", 1), call(relay, "me", "b", "m", 2)];
  await turn();
  relay.unregister("me", "m", "daemon");
  daemon.asked[0]?.answer("in time");
  expect(await answered).toEqual({ ok: true, result: "in time" });
  relay.register("me", "m", daemon);
  // Another unregistration that really ends shows that the first one's time is over.
  relay.register("me", "marker", daemon);
  const marker = call(relay, "me", "c", "marker", undefined);
  await turn();
  relay.unregister("me", "marker", "daemon");
  expect(await marker).toEqual(gone);
  daemon.asked[1]?.answer("still here");
  expect(await patient).toEqual({ ok: true, result: "still here" });
  daemon.asked[2]?.answer();
});

test("a socket that closes ends its calls now, and theirs alone", async () => {
  const relay = happyRelay({ waitMs: NEVER, answerMs: NEVER, unregisteredMs: NEVER });
  const [old, fresh] = [new Daemon("old"), new Daemon("fresh")];
  relay.register("me", "m", old);
  const first = call(relay, "me", "caller", "m", 1);
  await turn();
  relay.register("me", "m", fresh);
  const second = call(relay, "me", "caller", "m", 2);
  await turn();
  relay.disconnect("fresh");
  expect(await second).toEqual(gone);
  const third = call(relay, "me", "caller", "m", 3);
  await turn();
  expect(old.asked.map(({ params }) => params)).toEqual([1, 3]);
  for (const { answer } of [...old.asked, ...fresh.asked]) answer("old");
  expect(await Promise.all([first, third])).toEqual([
    { ok: true, result: "old" },
    { ok: true, result: "old" },
  ]);
});

test("one caller may not keep more than a thousand calls waiting", async () => {
  const relay = happyRelay({ ...FAST, waitMs: 30 });
  const calls = Array.from({ length: 1_001 }, () => call(relay, "me", "caller", "m", undefined));
  expect(await calls[1_000]).toEqual({ ok: false, error: "Too many calls in flight" });
  await Promise.all(calls);
  const daemon = new Daemon("daemon");
  relay.register("me", "m", daemon);
  const again = call(relay, "me", "caller", "m", undefined);
  await turn();
  daemon.asked[0]?.answer("room again");
  expect(await again).toEqual({ ok: true, result: "room again" });
});

test("an account's calls keep at most 64 Mi characters waiting, and give the room back", async () => {
  const relay = happyRelay({ ...FAST, answerMs: NEVER });
  const daemon = new Daemon("daemon");
  relay.register("account", "m", daemon);
  const large = "x".repeat(1024 * 1024);
  const calls = Array.from({ length: 65 }, (_, number) =>
    call(relay, "account", `caller ${number % 8}`, "m", large),
  );
  expect(await calls[64]).toEqual({ ok: false, error: "Too many calls in flight" });
  await turn();
  for (const { answer } of daemon.asked) answer("done");
  for (const answer of await Promise.all(calls.slice(0, 64)))
    expect(answer).toEqual({ ok: true, result: "done" });
  const later = call(relay, "account", "caller", "m", large);
  await turn();
  daemon.asked.at(-1)?.answer("again");
  expect(await later).toEqual({ ok: true, result: "again" });
});

test("nobody can have a method of more than 1,024 characters", async () => {
  const relay = happyRelay(FAST);
  const { result, ms } = await took(call(relay, "account", "caller", "m".repeat(1_025), undefined));
  expect(result).toEqual({ ok: false, error: "RPC method not available" });
  expect(ms).toBeLessThan(FAST.waitMs);
});
