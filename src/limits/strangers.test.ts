// What strangers cost is counted by address and comes back with time; a body of theirs waits for so long, and makes place for a newer one.
import { expect, jest, test } from "bun:test";
import { createLog } from "../observability/log.ts";
import { Metrics } from "../observability/metrics.ts";
import { Addresses } from "./addresses.ts";
import { Bounds } from "./bounds.ts";
import { GivenUp, Strangers } from "./strangers.ts";

function strangers({ bytesPerSecond = 1_000, workMsPerSecond = 100 } = {}) {
  const clock = { now: 0 };
  const addresses = new Addresses(() => clock.now);
  const bounds = new Bounds(new Metrics(), createLog("silent"));
  const made = new Strangers({
    addresses,
    bounds,
    bytesPerSecond: () => bytesPerSecond,
    workMsPerSecond: () => workMsPerSecond,
    now: () => clock.now,
  });
  return { strangers: made, clock, addresses, bounds };
}

const A = "198.51.100.1";

test("an address may send 32 seconds' worth at once, and then as fast as it comes back", () => {
  const { strangers: some, clock, bounds } = strangers();
  some.charge(A, { bytes: 32_000 });
  expect(some.exceeded(A)).toBeUndefined();
  some.charge(A, { bytes: 500 });
  expect(some.exceeded(A)).toBe(500);
  expect(some.exceeded("198.51.100.2")).toBeUndefined();
  expect(bounds.count("anonymous-bytes")).toBe(1);
  clock.now = 500;
  expect(some.exceeded(A)).toBeUndefined();
  clock.now = 100_000;
  some.charge(A, { bytes: 32_000 });
  expect(some.exceeded(A)).toBeUndefined();
});

test("work is counted beside bytes, of a whole /64 together", () => {
  const { strangers: some, bounds } = strangers();
  some.charge("2001:db8::1", { workMs: 3_300 });
  expect(some.exceeded("2001:db8::2")).toBe(1_000);
  expect(some.exceeded("2001:db8:0:1::2")).toBeUndefined();
  expect(bounds.count("anonymous-work")).toBe(1);
});

test("an address from which an account has come has four times as much, a shared one sixteen times", () => {
  const { strangers: some, addresses } = strangers();
  addresses.authenticated("172.17.0.1", "a");
  some.charge("172.17.0.1", { bytes: 4 * 32_000 });
  expect(some.exceeded("172.17.0.1")).toBeUndefined();
  addresses.authenticated("172.17.0.2", "a");
  addresses.authenticated("172.17.0.2", "b");
  some.charge("172.17.0.2", { bytes: 16 * 32_000 });
  expect(some.exceeded("172.17.0.2")).toBeUndefined();
  some.charge("172.17.0.2", { bytes: 16_000 });
  expect(some.exceeded("172.17.0.2")).toBe(1_000);
});

test("0 is no limit", () => {
  const { strangers: some } = strangers({ bytesPerSecond: 0, workMsPerSecond: 0 });
  some.charge(A, { bytes: 2 ** 40, workMs: 2 ** 30 });
  expect(some.exceeded(A)).toBeUndefined();
});

test("of too many addresses the one that was charged least lately is forgotten", () => {
  const { strangers: some } = strangers();
  for (let n = 0; n <= 20_000; n++)
    some.charge(`10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`, { bytes: 64_000 });
  expect(some.exceeded("10.0.0.0")).toBeUndefined();
  expect(some.exceeded("10.0.0.1")).toBeGreaterThan(0);
});

const never = () => new Promise<never>(() => {});
const outcome = (waiting: Promise<unknown>) =>
  Promise.race([waiting.then(() => "came").catch((error: Error) => error.constructor.name), Bun.sleep(1)]);

test("what arrives is handed on, also when it is an error, and leaves nothing behind", async () => {
  const { strangers: some } = strangers();
  expect(await some.patiently(A, Promise.resolve(7))).toBe(7);
  expect(some.patiently(A, Promise.reject(new TypeError("cut")))).rejects.toThrow(TypeError);
  await Bun.sleep(0);
  expect(some.waiting).toBe(0);
});

test("of one address 64 wait; the oldest makes place for the next, and other addresses keep theirs", async () => {
  const { strangers: some, bounds } = strangers();
  const other = some.patiently("198.51.100.2", never());
  const own = Array.from({ length: 65 }, () => some.patiently(A, never()));
  // They are given up while other tests run.
  for (const one of [other, ...own]) one.catch(() => {});
  expect(
    await Promise.all([outcome(other), outcome(own[0] as Promise<never>), outcome(own[1] as Promise<never>)]),
  ).toEqual([undefined, GivenUp.name, undefined]);
  expect(bounds.count("anonymous-bytes")).toBe(1);
  expect(some.waiting).toBe(65);
});

test("of all addresses 2,000 wait", async () => {
  const { strangers: some } = strangers();
  const all = Array.from({ length: 2_001 }, (_, n) => some.patiently(`10.0.${n >> 8}.${n & 255}`, never()));
  for (const one of all) one.catch(() => {});
  expect(await outcome(all[0] as Promise<never>)).toBe(GivenUp.name);
  expect(some.waiting).toBe(2_000);
});

test("what does not come is given up after 20 s", async () => {
  jest.useFakeTimers();
  try {
    const { strangers: some } = strangers();
    const late = some.patiently(A, never());
    late.catch(() => {});
    jest.advanceTimersByTime(19_999);
    expect(some.waiting).toBe(1);
    jest.advanceTimersByTime(1);
    expect(late).rejects.toThrow(GivenUp);
    await Promise.resolve();
  } finally {
    jest.useRealTimers();
  }
});

test("each is given up at its own time, though one timer serves all", () => {
  jest.useFakeTimers();
  try {
    const { strangers: some } = strangers();
    const begin = () => some.patiently(A, never()).catch(() => {});
    void begin();
    jest.advanceTimersByTime(15_000);
    void begin();
    jest.advanceTimersByTime(5_000);
    expect(some.waiting).toBe(1);
    jest.advanceTimersByTime(14_999);
    expect(some.waiting).toBe(1);
    jest.advanceTimersByTime(1);
    expect(some.waiting).toBe(0);
    void begin();
    jest.advanceTimersByTime(20_000);
    expect(some.waiting).toBe(0);
  } finally {
    jest.useRealTimers();
  }
});
