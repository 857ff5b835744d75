// The server is stopped with SIGTERM while calls run and wait, streams are open and tasks are under way. Everybody gets an answer that says
// what is true, the stop takes under five seconds, and the next start goes on with every task that was acknowledged.
import { expect, test } from "bun:test";
import { nothingLeftBehind } from "../support/left-behind.ts";
import { type Json, type RpcAnswer, rpcClient } from "../support/rpc-document-server.ts";
import { until } from "../support/until.ts";

const STOP_BOUND_MS = 5_000;
const DOCUMENT = {
  resilience: { bulkhead: { max_concurrent: 8, queue_depth: 10, max_wait_ms: 60_000 } },
  tasks: { workers: 2 },
};

const { freshFolder, started } = nothingLeftBehind("rpc-stop", {
  env: {
    ROOST_RPC_ENABLED: "true",
    ROOST_RPC_FIXTURES: "true",
    ROOST_LOG_LEVEL: "info",
    ROOST_RPC_DOCUMENT: JSON.stringify(DOCUMENT),
  },
});

test("SIGTERM: what ends soon is answered, the rest is told that the server ends, and tasks go on after it", async () => {
  const dataDir = freshFolder();
  const server = await started(dataDir);
  const client = rpcClient(server.url);
  const patient = (key?: string) => ({
    qos: { timeout_ms: 100_000, ...(key !== undefined && { idempotency_key: key }) },
  });
  const submit = async (method: string, params: object, more: object = {}): Promise<string> => {
    const target = { target_method: `rpc.v2/${method}`, params, ...more };
    return (await client.call("TaskService/Submit", target)).body.result.task_id;
  };
  const again = await submit("DemoService/Sleep", { ms: 60_000 });
  const once = await submit("DemoService/SleepOnce", { ms: 60_000 });
  const running = async (least: number) =>
    (await client.call("DemoService/State")).body.result.running >= least;
  await until("both tasks run", () => running(2));
  const waiting = await submit("EchoService/Echo", { waits: true });
  const later = await submit("EchoService/Echo", { later: true }, { scheduled_at_ms: Date.now() + 8_000 });

  const frames: Json[] = [];
  const streaming = (async () => {
    for await (const frame of client.stream("StreamService/Idle", { ms: 60_000 })) frames.push(frame);
  })();
  // Eight have a place: one ends soon, one goes on for long with a key, one blocks, and five fill the rest. One waits for a place.
  const long = Array.from({ length: 5 }, () => client.call("DemoService/Sleep", { ms: 60_000 }, patient()));
  const withKey = client.call("DemoService/SleepOnce", { ms: 60_000 }, patient("key"));
  await until("they run", () => running(2 + 1 + 5 + 1));
  const blocking = client.call("DemoService/Burn", { ms: 60_000 }, patient());
  const soon = client.call("DemoService/Sleep", { ms: 1_200 }, patient());
  await Bun.sleep(300);
  const queued = client.call("DemoService/Sleep", { ms: 60_000 }, patient());
  await Bun.sleep(200);

  const begun = performance.now();
  const code = await server.end("SIGTERM");
  expect([code, performance.now() - begun < STOP_BOUND_MS]).toEqual([0, true]);
  const told = ({ status, body }: RpcAnswer) => [status, body.error?.code ?? body.result];
  expect(told(await soon)).toEqual([200, { slept: 1_200 }]);
  for (const one of [...long, withKey, blocking, queued]) expect(told(await one)).toEqual([503, 5002]);
  await streaming;
  expect(frames.map(({ type }) => type)).toEqual(["error", "end"]);
  expect(frames[0].payload.error?.code ?? frames[0].payload.code).toBe(5002);
  expect(server.output.stderr).toBe("");
  // The access line of each call that was cut.
  expect([...new Set(server.logged(50).map(({ msg }) => msg))]).toEqual(["rpc call"]);

  const next = await started(dataDir);
  const asked = rpcClient(next.url);
  const task = async (task_id: string) =>
    (await asked.call("TaskService/Query", { task_id })).body.result.task;
  expect(await task(once)).toMatchObject({ status: "failed", error: { code: 5002 } });
  await until("it runs again", async () => (await task(again)).status === "running");
  expect(await task(again)).toMatchObject({ attempt: 2 });
  for (const [id, result] of [
    [waiting, { waits: true }],
    [later, { later: true }],
  ] as const) {
    await until("it is done", async () => (await task(id)).status === "succeeded");
    expect(await task(id)).toMatchObject({ attempt: 1, result });
  }
  // Its handler said that it had not done it, so that the key is free.
  const retried = await asked.call(
    "DemoService/SleepOnce",
    { ms: 60_000 },
    { qos: { timeout_ms: 300, idempotency_key: "key" } },
  );
  expect(retried.body.error.code).toBe(5003);
}, 60_000);
