// Calls with an idempotency key in a whole server (contract 10.4; V19, V52): one run, the same answer again, also after kill -9.
import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startProcess } from "./faults/server-process.ts";
import { startRedis, withRedis } from "./support/redis.ts";
import {
  type RpcAnswer,
  type RpcClient,
  type RpcServer,
  rpcClient,
  rpcServer,
} from "./support/rpc-document-server.ts";
import { until } from "./support/until.ts";

// A busy machine is slow, not wrong.
setDefaultTimeout(60_000);

let server: RpcServer | undefined;
afterEach(async () => {
  await server?.stop();
  server = undefined;
});

const open = async (document: Record<string, unknown> = {}): Promise<RpcServer> => {
  server = await rpcServer(document);
  return server;
};
const keyed = (key: string, more: Record<string, unknown> = {}) => ({
  qos: { idempotency_key: key, ...more },
});
const increment = (client: RpcClient, key: string, more = {}) =>
  client.call("CounterService/Increment", { key: "a" }, { ...keyed(key), ...more });
const replayed = ({ body }: RpcAnswer) => body.metadata.headers["idempotent-replay"];
const errorOf = ({ status, body }: RpcAnswer) => [status, body.error?.code, body.error?.details?.[0]?.reason];

test("V19: the second answer is the first one's, other data are refused, another tenant has keys of its own", async () => {
  const client = await open();
  const first = await increment(client, "x1");
  const second = await increment(client, "x1");
  expect([first.body.result, second.body.result]).toEqual([{ count: 1 }, { count: 1 }]);
  expect([replayed(first), replayed(second)]).toEqual([undefined, "true"]);
  expect(second.body.id).not.toBe(first.body.id);
  expect(second.body.trace_context.span_id).not.toBe(first.body.trace_context.span_id);
  const other = await client.call("CounterService/Increment", { key: "b" }, keyed("x1"));
  expect(errorOf(other)).toEqual([409, 4011, "the key was used with other data"]);
  expect(other.body.error.details[0].type).toBe("aduib.rpc/idempotency");
  const elsewhere = await increment(client, "x1", { metadata: { timestamp_ms: 1, tenant_id: "acme" } });
  expect(elsewhere.body.result).toEqual({ count: 2 });
  expect(replayed(elsewhere)).toBeUndefined();
  // The order of keys says nothing.
  const sorted = await client.call("EchoService/Echo", { a: 1, b: { c: 2, d: 3 } }, keyed("order"));
  const turned = await client.call("EchoService/Echo", { b: { d: 3, c: 2 }, a: 1 }, keyed("order"));
  expect(turned.body.result).toEqual(sorted.body.result);
  expect(replayed(turned)).toBe("true");
});

test("V52: two at once run once; a key ends with its time; an error frees it", async () => {
  const client = await open({ qos: { idempotency_ttl_s: 1 } });
  const both = await Promise.all([increment(client, "once"), increment(client, "once")]);
  expect(both.map(({ body }) => body.result)).toEqual([{ count: 1 }, { count: 1 }]);
  expect(both.map(replayed).sort()).toEqual(["true", undefined]);
  await Bun.sleep(1_200);
  expect((await increment(client, "once")).body.result).toEqual({ count: 2 });
  const flaky = () =>
    client.call("DemoService/Flaky", { key: "v52", fail_times: 1, code: 5000 }, keyed("flaky"));
  expect((await flaky()).status).toBe(500);
  expect((await flaky()).body.result).toEqual({ attempts: 2 });
  expect(replayed(await flaky())).toBe("true");
});

test("who waits for the first does so within a deadline of its own", async () => {
  const client = await open();
  const slow = client.call("DemoService/SleepOnce", { ms: 1_000 }, keyed("slow"));
  await Bun.sleep(200);
  const impatient = await client.call(
    "DemoService/SleepOnce",
    { ms: 1_000 },
    keyed("slow", { timeout_ms: 200 }),
  );
  expect(impatient.body.error.code).toBe(5003);
  expect((await slow).body.result).toEqual({ slept: 1_000 });
});

test("an answer that is too large is not kept: what may run twice does", async () => {
  const client = await open({ qos: { idempotency_max_bytes: 65_536 } });
  const large = { text: "x".repeat(20_000) };
  for (let n = 0; n < 2; n++) {
    const answer = await client.call("EchoService/Echo", large, keyed("large"));
    expect(answer.status).toBe(200);
    expect(replayed(answer)).toBeUndefined();
  }
});

test("a restart keeps the answers", async () => {
  const client = await open();
  expect((await increment(client, "kept")).body.result).toEqual({ count: 1 });
  await client.restart();
  const again = await increment(client, "kept");
  expect(again.body.result).toEqual({ count: 1 });
  expect(replayed(again)).toBe("true");
});

test("kill -9: what was answered is answered again, and what only ran is not run again", async () => {
  const dataDir = mkdtempSync(join(tmpdir(), "roost-rpc-"));
  const env = { ROOST_RPC_ENABLED: "true", ROOST_RPC_FIXTURES: "true" };
  let process = await startProcess({ dataDir, env });
  try {
    let client = rpcClient(process.url);
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        client.call("CounterService/Increment", { key: "kill" }, keyed(`key-${n}`)),
      ),
    );
    const cut = [
      client.call("DemoService/SleepOnce", { ms: 30_000 }, keyed("once")).catch(() => "cut"),
      client.call("DemoService/Sleep", { ms: 100 }, keyed("done", { timeout_ms: 60_000 })).catch(() => "cut"),
      client
        .call("DemoService/Sleep", { ms: 30_000 }, keyed("again", { timeout_ms: 60_000 }))
        .catch(() => "cut"),
    ];
    await until(
      "the calls to run",
      async () => (await client.call("DemoService/State")).body.result.running >= 2,
    );
    await cut[1];
    await process.end("SIGKILL");
    expect(await Promise.all([cut[0], cut[2]])).toEqual(["cut", "cut"]);
    process = await startProcess({ dataDir, env });
    client = rpcClient(process.url);
    for (const [n, { body }] of answers.entries()) {
      const again = await client.call("CounterService/Increment", { key: "kill" }, keyed(`key-${n}`));
      expect(again.body.result).toEqual(body.result);
      expect(replayed(again)).toBe("true");
    }
    const once = await client.call("DemoService/SleepOnce", { ms: 30_000 }, keyed("once"));
    expect(errorOf(once)).toEqual([409, 4011, "outcome_unknown"]);
    expect(replayed(await client.call("DemoService/Sleep", { ms: 100 }, keyed("done")))).toBe("true");
    const other = await client.call("DemoService/Sleep", { ms: 1 }, keyed("again"));
    expect(other.body.result).toEqual({ slept: 1 });
  } finally {
    await process.end("SIGKILL");
    rmSync(dataDir, { recursive: true, force: true });
  }
});

withRedis.test(
  "Redis: a key is one on two servers, and whoever waits on the other hears the answer",
  async () => {
    const redis = await startRedis();
    const document = { idempotency: { store: "redis" }, tasks: { store: "memory", redis_url: redis.url } };
    const [one, two] = [await rpcServer(document), await rpcServer(document)];
    try {
      const first = one.call("DemoService/SleepOnce", { ms: 500 }, keyed("both"));
      await Bun.sleep(100);
      const second = await two.call("DemoService/SleepOnce", { ms: 500 }, keyed("both"));
      expect(replayed(await first)).toBeUndefined();
      expect(second.body.result).toEqual({ slept: 500 });
      expect(replayed(second)).toBe("true");
      await redis.kill();
      expect((await one.call("DemoService/SleepOnce", { ms: 1 }, keyed("away"))).body.error.code).toBe(6002);
      expect((await one.call("DemoService/SleepOnce", { ms: 1 })).status).toBe(200);
    } finally {
      await Promise.all([one.stop(), two.stop()]);
      await redis.stop();
    }
  },
);
