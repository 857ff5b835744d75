// What a caller asks of the way in which its call is carried out, through the real listener (contract 10, 12; V17, V18, V22, V54).
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { rpcRoom } from "./support/rpc-room.ts";
import { type Json, type Served, served, stopServers } from "./support/rpc-server.ts";
import { until } from "./support/until.ts";

setDefaultTimeout(30_000);
let one: Served;
beforeAll(async () => {
  one = await served({ resilience: { circuit_breaker: { enabled: false } } });
});
afterAll(stopServers);

test("a deadline ends a call at once, whatever its handler does (V17)", async () => {
  const began = performance.now();
  const late = await one.call("DemoService/Sleep", { ms: 5_000 }, { qos: { timeout_ms: 100 } });
  expect(late).toMatchObject({ status: 504, body: { error: { code: 5003, name: "TIMEOUT" } } });
  // The contract says 300 ms of an idle machine; of a busy one that it was not the handler's end.
  expect(performance.now() - began).toBeLessThan(2_000);
  expect(await one.call("DemoService/Sleep", { ms: 1 }, { qos: { timeout_ms: 0 } })).toMatchObject({
    status: 400,
    body: { error: { code: 2003, details: [{ field: "qos.timeout_ms" }] } },
  });
});

test("a retry runs only what may run twice (V18)", async () => {
  const retry = { max_attempts: 3, initial_delay_ms: 1, max_delay_ms: 2 };
  const flaky = (key: string) =>
    one.call("DemoService/Flaky", { key, fail_times: 2, code: 6002 }, { qos: { retry } });
  expect(await flaky("k1")).toMatchObject({
    status: 200,
    body: { result: { attempts: 3 }, metadata: { headers: { attempts: "3" } } },
  });
  const once = await one.call("DemoService/FailWith", { code: 6002 }, { qos: { retry } });
  expect(once).toMatchObject({
    status: 502,
    body: { error: { code: 6002 }, metadata: { headers: { "retry-ignored": "not-idempotent" } } },
  });
  expect(once.body.metadata.headers).not.toHaveProperty("attempts");
  // A key makes it safe.
  const keyed = await one.call(
    "DemoService/FailWith",
    { code: 6002 },
    { qos: { retry, idempotency_key: "k2" } },
  );
  expect(keyed.body.metadata.headers).toMatchObject({ attempts: "3" });
  for (const [field, value] of [
    ["max_attempts", 11],
    ["initial_delay_ms", 0],
    ["backoff_multiplier", 0.5],
    ["retryable_codes", [1]],
  ] as const) {
    const answer = await one.call("EchoService/Echo", null, { qos: { retry: { [field]: value } } });
    expect([field, answer.status, answer.body.error.code]).toEqual([field, 400, 2003]);
  }
});

test("a full queue gives its place to the more important call (V22)", async () => {
  const room = await rpcRoom({
    document: { resilience: { bulkhead: { max_concurrent: 1, queue_depth: 1 } } },
  });
  const places = () => {
    const [{ active, queued } = { active: 0, queued: 0 }] = room.guards.bulkheads();
    return `${active} active, ${queued} queued`;
  };
  const sleep = async (ms: number, priority = 1) => {
    const answer = await room.call("rpc.v2/DemoService/Sleep", { ms }, { qos: { priority } });
    return { status: answer.status, body: (await answer.json()) as Json };
  };
  try {
    const running = sleep(1_500);
    await until("a place that is taken", () => places() === "1 active, 0 queued");
    const low = sleep(1, 0);
    await until("a full queue", () => places() === "1 active, 1 queued");
    const critical = sleep(1, 3);
    expect(await low).toMatchObject({
      status: 429,
      body: {
        error: { code: 5021, details: [{ type: "aduib.rpc/bulkhead", metadata: { active: 1, queued: 1 } }] },
      },
    });
    expect(await sleep(1, 3)).toMatchObject({ status: 429, body: { error: { code: 5021 } } });
    expect((await critical).status).toBe(200);
    expect((await running).status).toBe(200);
  } finally {
    await room.stop();
  }
});

test("a fallback answers for faults of the server, and for nothing else (V54)", async () => {
  expect(await one.call("DemoService/WithFallback", { code: 6002 })).toMatchObject({
    status: 200,
    body: { status: "success", result: { fallback: true }, metadata: { headers: { fallback: "true" } } },
  });
  expect(await one.call("DemoService/WithFallback", { code: 2001 })).toMatchObject({
    status: 400,
    body: { error: { code: 2001 } },
  });
});
