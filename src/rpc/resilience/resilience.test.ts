// The guards one by one, on a clock of the test's own.
import { describe, expect, test } from "bun:test";
import { Breaker, type BreakerSettings } from "./breaker.ts";
import { Bulkhead } from "./bulkhead.ts";
import { Keyed } from "./keyed.ts";
import { type LimitSettings, limiter } from "./limiters.ts";

function clock() {
  let now = 1_000;
  return { now: () => now, pass: (ms: number) => (now += ms) };
}

describe("rate limits", () => {
  const settings = (algorithm: LimitSettings["algorithm"], rate: number, burst = 2): LimitSettings => ({
    algorithm,
    rate,
    burst,
  });

  test("a bucket gives its burst, then its rate, and says when", () => {
    const time = clock();
    const bucket = limiter(settings("token_bucket", 1));
    const take = () => bucket.take(time.now());
    expect(take()).toEqual({ isAllowed: true, limit: 2, remaining: 1, resetInMs: 1_000 });
    expect(take()).toEqual({ isAllowed: true, limit: 2, remaining: 0, resetInMs: 2_000 });
    expect(take()).toEqual({ isAllowed: false, limit: 2, remaining: 0, resetInMs: 1_000 });
    time.pass(999);
    expect(take().isAllowed).toBe(false);
    time.pass(1);
    expect(take().isAllowed).toBe(true);
    time.pass(1_000_000);
    expect(take().remaining).toBe(1);
  });

  test("a fixed window begins with its first call", () => {
    const time = clock();
    const window = limiter(settings("fixed_window", 2));
    const take = () => window.take(time.now()).isAllowed;
    expect([take(), take(), take()]).toEqual([true, true, false]);
    time.pass(999);
    expect(take()).toBe(false);
    time.pass(1);
    expect([take(), take(), take()]).toEqual([true, true, false]);
  });

  test("in no second of a sliding window are more calls than the rate", () => {
    const time = clock();
    const window = limiter(settings("sliding_window", 3));
    const allowed: number[] = [];
    for (let step = 0; step < 2_000; step++) {
      time.pass(Math.floor(Math.random() * 200));
      if (window.take(time.now()).isAllowed) allowed.push(time.now());
    }
    for (const [at, time] of allowed.entries())
      expect((allowed[at + 3] ?? Infinity) - time).toBeGreaterThanOrEqual(1_000);
    expect(allowed.length).toBeGreaterThan(300);
  });

  test.each(["fixed_window", "sliding_window"] as const)(
    "a rate below one call a second waits longer: %s",
    (algorithm) => {
      const time = clock();
      const window = limiter(settings(algorithm, 0.5));
      expect(window.take(time.now()).isAllowed).toBe(true);
      time.pass(1_999);
      expect(window.take(time.now())).toMatchObject({ isAllowed: false, resetInMs: 1 });
      time.pass(1);
      expect(window.take(time.now()).isAllowed).toBe(true);
    },
  );
});

describe("the breaker", () => {
  const settings: BreakerSettings = {
    failure_threshold: 2,
    success_threshold: 2,
    timeout_ms: 1_000,
    half_open_max_calls: 2,
  };
  const admitted = (breaker: Breaker) => {
    const admission = breaker.admit(settings);
    if ("retryAfterMs" in admission) throw new Error("refused");
    return admission;
  };
  const refused = (breaker: Breaker) => breaker.admit(settings);

  test("opens at the threshold of failures in a row, and a success begins the row anew", () => {
    const breaker = new Breaker(clock().now);
    admitted(breaker).failed();
    admitted(breaker).succeeded();
    admitted(breaker).failed();
    admitted(breaker).ignored();
    expect(breaker.state(settings)).toBe("closed");
    admitted(breaker).failed();
    expect(breaker.state(settings)).toBe("open");
    expect(refused(breaker)).toEqual({ retryAfterMs: 1_000 });
  });

  test("after its time a few calls decide: enough successes close it, one failure opens it again", () => {
    const time = clock();
    const breaker = new Breaker(time.now);
    admitted(breaker).failed();
    admitted(breaker).failed();
    time.pass(1_000);
    const [one, two] = [admitted(breaker), admitted(breaker)];
    expect(refused(breaker)).toEqual({ retryAfterMs: 1 });
    one.succeeded();
    two.succeeded();
    expect(breaker.state(settings)).toBe("closed");
    admitted(breaker).failed();
    admitted(breaker).failed();
    time.pass(1_000);
    admitted(breaker).failed();
    expect(breaker.state(settings)).toBe("open");
    expect(refused(breaker)).toEqual({ retryAfterMs: 1_000 });
  });

  test("a trial that is ignored gives its place to the next, and each tells its outcome once", () => {
    const time = clock();
    const breaker = new Breaker(time.now);
    admitted(breaker).failed();
    admitted(breaker).failed();
    time.pass(1_000);
    const [one] = [admitted(breaker), admitted(breaker)];
    one.ignored();
    one.ignored();
    admitted(breaker);
    expect(refused(breaker)).toEqual({ retryAfterMs: 1 });
  });

  test("what was let in before it changed says nothing of it after", () => {
    const time = clock();
    const breaker = new Breaker(time.now);
    const old = admitted(breaker);
    admitted(breaker).failed();
    admitted(breaker).failed();
    time.pass(1_000);
    admitted(breaker).succeeded();
    old.failed();
    expect(breaker.state(settings)).toBe("half_open");
  });
});

describe("the bulkhead", () => {
  const settings = { max_concurrent: 1, max_wait_ms: 5_000, queue_depth: 2 };
  const enter = (bulkhead: Bulkhead, priority: 0 | 1 | 2 | 3, order: string[], name: string, depth = 2) =>
    bulkhead.wait({ ...settings, queue_depth: depth }, priority, Infinity, undefined).then(
      () => order.push(name),
      (why) => order.push(`${name} ${why}`),
    );

  test("goes by priority, within one by age", async () => {
    const bulkhead = new Bulkhead(clock().now);
    const order: string[] = [];
    expect(bulkhead.tryEnter(settings)).toBe(true);
    const all = [
      enter(bulkhead, 0, order, "low", 9),
      enter(bulkhead, 3, order, "first", 9),
      enter(bulkhead, 3, order, "second", 9),
    ];
    for (let left = 3; left > 0; left--) {
      bulkhead.release(settings);
      await Bun.sleep(0);
    }
    await Promise.all(all);
    expect(order).toEqual(["first", "second", "low"]);
    bulkhead.release(settings);
    expect(bulkhead.isIdle).toBe(true);
  });

  test("waiting lifts a call: after three seconds a low one is before a younger critical one", async () => {
    const time = clock();
    const bulkhead = new Bulkhead(time.now);
    const order: string[] = [];
    bulkhead.tryEnter(settings);
    const all = [enter(bulkhead, 0, order, "low")];
    time.pass(2_999);
    bulkhead.release(settings);
    await Promise.all(all);
    all.push(enter(bulkhead, 0, order, "old"));
    time.pass(3_000);
    all.push(enter(bulkhead, 3, order, "young"));
    bulkhead.release(settings);
    await Bun.sleep(0);
    bulkhead.release(settings);
    await Promise.all(all);
    expect(order).toEqual(["low", "old", "young"]);
  });

  test("a full queue takes a more important call for the newest of the least important, and refuses its equals", async () => {
    const bulkhead = new Bulkhead(clock().now);
    const order: string[] = [];
    bulkhead.tryEnter(settings);
    const all = [
      enter(bulkhead, 1, order, "a"),
      enter(bulkhead, 1, order, "b"),
      enter(bulkhead, 1, order, "c"),
    ];
    await Bun.sleep(0);
    expect(order).toEqual(["c full"]);
    all.push(enter(bulkhead, 3, order, "d"));
    await Bun.sleep(0);
    expect(order).toEqual(["c full", "b full"]);
    bulkhead.release(settings);
    await Bun.sleep(0);
    bulkhead.release(settings);
    await Promise.all(all);
    expect(order.slice(2)).toEqual(["d", "a"]);
  });

  test("nobody waits longer than the bound, the deadline, or the client", async () => {
    const bulkhead = new Bulkhead(() => performance.now());
    bulkhead.tryEnter(settings);
    const why = (bound: number, deadline: number, signal?: AbortSignal) =>
      bulkhead
        .wait({ ...settings, max_wait_ms: bound, queue_depth: 9 }, 1, deadline, signal)
        .catch((reason) => reason);
    const client = new AbortController();
    const outcomes = Promise.all([
      why(10, Infinity),
      why(5_000, 10),
      why(5_000, Infinity, client.signal),
      why(5_000, Infinity, AbortSignal.abort()),
    ]);
    client.abort();
    expect(await outcomes).toEqual(["waited", "deadline", "left", "left"]);
    expect(bulkhead.queued).toBe(0);
  });

  test("more places let in those that wait", async () => {
    const bulkhead = new Bulkhead(clock().now);
    const order: string[] = [];
    bulkhead.tryEnter(settings);
    const waiting = [enter(bulkhead, 1, order, "a"), enter(bulkhead, 1, order, "b")];
    bulkhead.release({ ...settings, max_concurrent: 2 });
    await Promise.all(waiting);
    expect(order).toEqual(["a", "b"]);
  });
});

describe("state for keys that callers choose", () => {
  test("is bounded: idle ones go first", () => {
    const keyed = new Keyed<{ busy: boolean }>(
      (key) => ({ busy: key === "0" }),
      ({ busy }) => !busy,
    );
    for (let key = 0; key < 30_000; key++) keyed.get(String(key));
    expect(keyed.size).toBe(10_000);
    expect(keyed.peek("0")).toEqual({ busy: true });
    const allBusy = new Keyed<object>(
      () => ({}),
      () => false,
    );
    for (let key = 0; key < 30_000; key++) allBusy.get(String(key));
    expect(allBusy.size).toBe(10_000);
  });

  test("goes when it was idle for ten minutes", () => {
    const time = clock();
    const keyed = new Keyed<object>(() => ({}), undefined, time.now);
    keyed.get("a");
    time.pass(300_000);
    keyed.get("b");
    time.pass(301_000);
    keyed.get("c");
    expect([...keyed].map(([key]) => key)).toEqual(["b", "c"]);
  });
});
