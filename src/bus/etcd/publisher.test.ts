// The publisher by itself, before a gateway that answers when the test says so: what was given up is not written, and how long a lease
// serves. On a real etcd it runs in ../etcd.test.ts.
import { expect, test } from "bun:test";
import { BusClosedError } from "../errors.ts";
import type { EtcdGateway } from "./gateway.ts";
import { EtcdPublisher } from "./publisher.ts";

function publisher(leaseSeconds = 30) {
  const written: string[][] = [];
  let leases = 0;
  let gate: Promise<void> = Promise.resolve();
  const keysOf = (body: unknown): string[] => {
    const { key, success } = body as { key?: string; success?: { request_put: { key: string } }[] };
    return (key === undefined ? (success ?? []).map(({ request_put }) => request_put.key) : [key]).map(atob);
  };
  const gateway = {
    call: async (path: string, body: unknown) => {
      if (path === "/v3/lease/grant") return { ID: `lease ${++leases}` };
      written.push(keysOf(body));
      await gate;
      return {};
    },
  } as unknown as EtcdGateway;
  const made = new EtcdPublisher(gateway, leaseSeconds);
  const put = (key: string, signal?: AbortSignal) => made.put(key, new Uint8Array(1_000), signal);
  /** Writes stay in flight until the end that it returns is called. */
  const hold = () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    gate = promise;
    return resolve;
  };
  return { made, put, hold, written, leases: () => leases };
}

test("what is given up while it waits is never written", async () => {
  const { put, hold, written } = publisher();
  const release = hold();
  const first = put("a");
  await Bun.sleep(1);
  const abort = new AbortController();
  const [second, third] = [put("b", abort.signal), put("c")];
  abort.abort(new Error("too late"));
  await expect(second).rejects.toThrow("too late");
  release();
  await Promise.all([first, third]);
  expect(written).toEqual([["a"], ["c"]]);
});

test("a publish that comes too late is not even queued", async () => {
  const { put, written } = publisher();
  await expect(put("a", AbortSignal.abort(new Error("gone")))).rejects.toThrow("gone");
  expect(written).toEqual([]);
});

test("what waits is no more than 64 MiB; what was given up does not count", async () => {
  const { made, put, hold } = publisher();
  const release = hold();
  const all: Promise<unknown>[] = [put("first")];
  await Bun.sleep(1);
  const abort = new AbortController();
  const large = (key: string, signal?: AbortSignal) => made.put(key, new Uint8Array(1_400_000), signal);
  for (let index = 0; index < 47; index++) all.push(large(`${index}`, abort.signal).catch(() => {}));
  await expect(large("one more")).rejects.toThrow("too many messages wait");
  abort.abort(new Error("given up"));
  all.push(large("after"));
  release();
  await Promise.all(all);
});

test("one lease serves a third of its life", async () => {
  const { put, leases } = publisher(0.3);
  for (const key of ["a", "b"]) await put(key);
  expect(leases()).toBe(1);
  await Bun.sleep(110);
  await put("c");
  expect(leases()).toBe(2);
});

test("a close that comes before the answer fails what waits, and what comes later", async () => {
  const { made, put, hold } = publisher();
  const release = hold();
  const first = put("a");
  await Bun.sleep(1);
  const second = put("b");
  const closing = made.close(1);
  await expect(second).rejects.toBeInstanceOf(BusClosedError);
  release();
  await closing;
  await first;
});
