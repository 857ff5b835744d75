// Holds one run of a key through what can come in between: a caller whose deadline passes while its handler goes on, a client that leaves, a
// store that fails.
import { expect, test } from "bun:test";
import { callFrom } from "../../../test/support/rpc-call.ts";
import { createLog } from "../../observability/log.ts";
import { StorageError } from "../../storage/errors.ts";
import type { Call } from "../pipeline/call.ts";
import type { Outcome } from "../pipeline/outcome.ts";
import { RpcError } from "../wire/rpc-error.ts";
import { storedText, storedValue } from "../wire/stored-value.ts";
import { KeyedCalls } from "./keyed-calls.ts";
import { MemoryCalls } from "./memory-calls.ts";

const log = createLog("silent");
const open = (store = new MemoryCalls(() => ({ entries: 100, bytes: 1_000_000 }))) =>
  ({ store, keyed: new KeyedCalls({ store, log }) }) as const;
const call = (more: Parameters<typeof callFrom>[0] = {}): Call =>
  callFrom({ qos: { idempotency_key: "k" }, ...more });
const success = (result: unknown): Outcome => ({ status: "success", result });
const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => undefined,
    (error: RpcError) => [error.code, error.details[0]?.reason],
  );

test("a caller who tries again after a timeout waits for the first run, and gets what it returned", async () => {
  const { keyed } = open();
  const first = call();
  expect(await keyed.enter(first)).toBeUndefined();
  const late = Promise.withResolvers<Outcome>();
  first.late = late.promise;
  await keyed.released(first);
  const second = keyed.enter(call());
  late.resolve(success({ n: 1 }));
  expect(await second).toEqual(success({ n: 1 }));
  expect(await keyed.enter(call())).toMatchObject(success({ n: 1 }));
});

test("a late failure frees the key", async () => {
  const { keyed } = open();
  const first = call();
  await keyed.enter(first);
  first.late = Promise.resolve({ status: "error", error: new RpcError(5000) });
  await keyed.released(first);
  expect(await keyed.enter(call())).toBeUndefined();
});

test("what the first one's answer said in its headers is said again, binary data come back as such", async () => {
  const { keyed } = open();
  const first = call();
  await keyed.enter(first);
  first.headers.attempts = "2";
  await keyed.completed(first, success({ bytes: new Uint8Array([1, 2, 255]), plain: "ä" }));
  const second = call();
  const again = (await keyed.enter(second)) as Outcome & { status: "success" };
  expect(second.headers.attempts).toBe("2");
  const { bytes, plain } = again.result as { bytes: Uint8Array; plain: string };
  expect([...bytes]).toEqual([1, 2, 255]);
  expect(plain).toBe("ä");
});

test("who waits and leaves, or whose deadline passes, waits no longer", async () => {
  const { keyed } = open();
  await keyed.enter(call());
  const hurried = call();
  hurried.deadlineAt = performance.now() + 20;
  expect(await codeOf(keyed.enter(hurried))).toEqual([5003, undefined]);
  expect(hurried.endedBy).toBe("deadline");
});

test("only what proved who it is shares the keys of a principal", async () => {
  const { keyed } = open();
  const first = call({ identity: { id: "p", verified: true } });
  await keyed.enter(first);
  await keyed.completed(first, success("secret"));
  expect(await keyed.enter(call({ identity: { id: "p", verified: false } }))).toBeUndefined();
  expect(await keyed.enter(call({ identity: { id: "p", verified: true } }))).toMatchObject(success("secret"));
});

test("a store that fails when it ran: nobody runs it again, and nobody is told that it worked", async () => {
  class Failing extends MemoryCalls {
    override complete(): Promise<void> {
      return Promise.reject(new StorageError("disk-full", "The disk is full."));
    }
  }
  const { keyed } = open(new Failing(() => ({ entries: 100, bytes: 1_000_000 })));
  const first = call();
  await keyed.enter(first);
  const second = codeOf(keyed.enter(call()));
  expect(await codeOf(keyed.completed(first, success(1)))).toEqual([5002, undefined]);
  expect(await second).toEqual([4011, "outcome_unknown"]);
  expect(await codeOf(keyed.enter(call()))).toEqual([4011, "outcome_unknown"]);
});

test("an answer that is too large to keep: the call does not run twice, and whoever asks again hears why", async () => {
  const { keyed } = open();
  const document = { qos: { idempotency_max_bytes: 65_536 } };
  const first = call({ document });
  await keyed.enter(first);
  await keyed.completed(first, success("x".repeat(20_000)));
  expect(await codeOf(keyed.enter(call({ document })))).toEqual([4011, "answer_too_large_to_keep"]);
});

test("a stored value is the same again", () => {
  for (const value of [
    null,
    1,
    "a",
    { a: [1, { b: null }] },
    [new Uint8Array([0, 1])],
    { x: new Uint8Array(0) },
  ])
    expect(JSON.stringify(storedValue(storedText(value)))).toBe(
      JSON.stringify(value, (_key, item) =>
        item instanceof Uint8Array ? Buffer.from(item).toString("base64") : item,
      ),
    );
  expect(storedValue(storedText(undefined))).toBeNull();
});

test("calls of one tenant that wait for their key leave room for another's", async () => {
  const { keyed } = open();
  const own = (tenant: string) => {
    const one = call({ identity: { tenant } });
    one.tenant = tenant;
    return one;
  };
  const [busy, other] = [own("busy"), own("other")];
  for (const first of [busy, other]) expect(await keyed.enter(first)).toBeUndefined();
  const refused = Promise.withResolvers<number>();
  const waiting = Array.from({ length: 3_600 }, () =>
    keyed.enter(own("busy")).catch((error: RpcError) => refused.resolve(error.code)),
  );
  expect(await refused.promise).toBe(5021);
  const second = keyed.enter(own("other"));
  await keyed.completed(other, success("mine"));
  expect(await second).toEqual(success("mine"));
  await keyed.completed(busy, success("theirs"));
  await Promise.all(waiting);
});
