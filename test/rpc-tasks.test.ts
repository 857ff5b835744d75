// Tasks as their clients see them in a whole server (contract 13; V34, V35, V50, V51, V53): their life, their order, cancel, retry, and what a
// crash leaves of them.
import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startProcess } from "./faults/server-process.ts";
import { startRedis, withRedis } from "./support/redis.ts";
import {
  type Json,
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
const submit = async (
  client: RpcClient,
  target: string,
  params: unknown = {},
  more = {},
): Promise<string> => {
  const answer = await client.call("TaskService/Submit", {
    target_method: `rpc.v2/${target}`,
    params,
    ...more,
  });
  expect(answer).toMatchObject({ status: 200 });
  return answer.body.result.task_id;
};
const query = async (client: RpcClient, task_id: string): Promise<Json> =>
  (await client.call("TaskService/Query", { task_id })).body.result?.task;
const reaches = (client: RpcClient, id: string, ...statuses: string[]): Promise<Json> =>
  until(`task ${id} to be ${statuses.join(" or ")}`, async () => {
    const task = await query(client, id);
    return statuses.includes(task?.status) ? task : undefined;
  });
const codeOf = ({ body }: { body: Json }) => body.error?.code;

async function frames(stream: AsyncGenerator<Json>): Promise<Json[]> {
  const all: Json[] = [];
  for await (const frame of stream) if (frame.type !== "heartbeat") all.push(frame);
  return all;
}
const events = (all: Json[]): string[] =>
  all.map(({ type, payload }) =>
    type === "data" ? `${payload.data.event}(${payload.data.task.status})` : `${type}`,
  );

test("V34: a task is submitted, followed to its end and queried; what is missing and what is unknown", async () => {
  const client = await open();
  const soon = Date.now() + 700;
  const answer = await client.call("TaskService/Submit", {
    target_method: "rpc.v2/DemoService/Sleep",
    params: { ms: 50 },
    priority: [2],
    scheduled_at_ms: soon,
    metadata: { note: "x" },
  });
  expect(answer.status).toBe(200);
  expect(answer.body.result).toEqual({
    task_id: expect.any(String),
    status: "scheduled",
    created_at_ms: expect.any(Number),
  });
  const { task_id } = answer.body.result;
  const all = await frames(client.stream("TaskService/Subscribe", { task_id }));
  expect(events(all)).toEqual([
    "progress(scheduled)",
    "progress(pending)",
    "started(running)",
    "completed(succeeded)",
    "end",
  ]);
  expect(all.at(-2).payload.data.task).toMatchObject({ result: { slept: 50 }, priority: 2, attempt: 1 });
  expect(await query(client, task_id)).toMatchObject({
    task_id,
    status: "succeeded",
    attempt: 1,
    max_attempts: 3,
    metadata: { note: "x" },
    result: { slept: 50 },
  });
  expect(events(await frames(client.stream("TaskService/Subscribe", { task_id })))).toEqual([
    "completed(succeeded)",
    "end",
  ]);
  const pending = await client.call("TaskService/Submit", { target_method: "rpc.v2/EchoService/Echo" });
  expect(pending.body.result.status).toBe("pending");

  expect(codeOf(await client.call("TaskService/Query", {}))).toBe(2002);
  const unknown = await client.call("TaskService/Query", { task_id: "nope" });
  expect([unknown.status, codeOf(unknown)]).toEqual([404, 4000]);
  expect(unknown.body.error.details).toEqual([
    { type: "aduib.rpc/task", field: "task_id", reason: "no such task" },
  ]);
  expect(codeOf(await client.call("TaskService/Cancel", { task_id: "nope" }))).toBe(4000);
  expect(await frames(client.stream("TaskService/Subscribe", { task_id: "nope" }))).toMatchObject([
    { status: 404, body: { error: { code: 4000 } } },
  ]);
  const cancelled = await client.call("TaskService/Cancel", { task_id });
  expect(cancelled.body.result).toEqual({ task_id, status: "succeeded", canceled: false });
});

test("a submission is refused as the target would refuse it; another tenant's task is not there", async () => {
  const client = await open();
  const refused = async (data: unknown) => codeOf(await client.call("TaskService/Submit", data));
  expect(await refused({})).toBe(2002);
  expect(await refused({ target_method: "EchoService.Echo" })).toBe(1002);
  expect(await refused({ target_method: "rpc.v2/NopeService/Run" })).toBe(4002);
  expect(await refused({ target_method: "rpc.v2/EchoService/Nope" })).toBe(4001);
  expect(await refused({ target_method: "rpc.v2/MathService/Divide", params: { a: 1 } })).toBe(2001);
  expect(await refused({ target_method: "rpc.v2/StreamService/Count", params: { n: 1 } })).toBe(2000);
  const echo = { target_method: "rpc.v2/EchoService/Echo" };
  expect(await refused({ ...echo, priority: 4 })).toBe(2003);
  expect(await refused({ ...echo, timeout_ms: 0 })).toBe(2003);
  expect(await refused({ ...echo, params: "text" })).toBe(2001);
  expect(await refused({ ...echo, idempotency_key: "" })).toBe(2003);
  const answer = await client.call("TaskService/Submit", echo, {
    metadata: { timestamp_ms: 1, tenant_id: "acme" },
  });
  const { task_id } = answer.body.result;
  expect(codeOf(await client.call("TaskService/Query", { task_id }))).toBe(4000);
  const own = await client.call(
    "TaskService/Query",
    { task_id },
    { metadata: { timestamp_ms: 1, tenant_id: "acme" } },
  );
  expect(own.status).toBe(200);
});

test("V50: a running task is canceled, a scheduled one never starts, and workers are so many", async () => {
  const client = await open();
  const running = await submit(client, "DemoService/Sleep", { ms: 60_000 });
  await reaches(client, running, "running");
  const following = frames(client.stream("TaskService/Subscribe", { task_id: running }));
  await Bun.sleep(50);
  const before = (await client.call("DemoService/State")).body.result.aborts;
  const answer = await client.call("TaskService/Cancel", { task_id: running, reason: "user" });
  expect(answer.body.result).toEqual({ task_id: running, status: "canceled", canceled: true });
  const seen = await following;
  expect(events(seen).slice(-2)).toEqual(["failed(canceled)", "end"]);
  const { task } = seen.at(-2).payload.data;
  expect(task.metadata.cancel_reason).toBe("user");
  expect(task.error).toBeUndefined();
  await until(
    "the handler to hear of it",
    async () => (await client.call("DemoService/State")).body.result.aborts === before + 1,
    1_000,
  );
  const later = await submit(
    client,
    "CounterService/Increment",
    { key: "never" },
    { scheduled_at_ms: Date.now() + 300 },
  );
  expect((await client.call("TaskService/Cancel", { task_id: later })).body.result.canceled).toBe(true);

  const began = performance.now();
  const ten = await Promise.all(
    Array.from({ length: 10 }, () => submit(client, "DemoService/Sleep", { ms: 200 })),
  );
  for (const id of ten) await reaches(client, id, "succeeded");
  // Three rounds of four; a busy machine may take longer.
  expect(performance.now() - began).toBeGreaterThanOrEqual(600);
  const starts = await Promise.all(ten.map(async (id) => (await query(client, id)).started_at_ms));
  // Each holds its worker for as long as it sleeps.
  for (const at of starts)
    expect(starts.filter((start) => start <= at && start + 195 > at).length).toBeLessThanOrEqual(4);
  expect((await client.call("CounterService/Increment", { key: "never" })).body.result).toEqual({ count: 1 });
});

test("V51: failed attempts are followed by others, and the filter leaves the end", async () => {
  const client = await open();
  const flaky = { key: "v51", fail_times: 2, code: 6002 };
  const id = await submit(client, "DemoService/Flaky", flaky, {
    max_attempts: 3,
    scheduled_at_ms: Date.now() + 500,
  });
  const [all, few] = await Promise.all([
    frames(client.stream("TaskService/Subscribe", { task_id: id })),
    frames(client.stream("TaskService/Subscribe", { task_id: id, events: ["completed"] })),
  ]);
  expect(events(all)).toEqual([
    "progress(scheduled)",
    "progress(pending)",
    "started(running)",
    "progress(retrying)",
    "started(running)",
    "progress(retrying)",
    "started(running)",
    "completed(succeeded)",
    "end",
  ]);
  expect(all.at(-2).payload.data.task).toMatchObject({ attempt: 3, result: { attempts: 3 } });
  expect(events(few)).toEqual(["progress(scheduled)", "completed(succeeded)", "end"]);
  const once = await submit(client, "DemoService/FailWith", { code: 6002 });
  expect(await reaches(client, once, "failed")).toMatchObject({
    attempt: 1,
    max_attempts: 1,
    error: { code: 6002 },
  });
});

test("V53: with one worker the critical task comes first", async () => {
  const client = await open({ tasks: { workers: 1 } });
  const first = await submit(client, "DemoService/Sleep", { ms: 400 });
  await reaches(client, first, "running");
  const low = await submit(client, "DemoService/Sleep", { ms: 1 }, { priority: 0 });
  const critical = await submit(client, "DemoService/Sleep", { ms: 1 }, { priority: 3 });
  const [a, b] = [await reaches(client, critical, "succeeded"), await reaches(client, low, "succeeded")];
  expect(a.started_at_ms).toBeLessThanOrEqual(b.started_at_ms);
  expect(a.completed_at_ms).toBeLessThanOrEqual(b.completed_at_ms);
});

test("the same key is the same task, for the same tenant and method", async () => {
  const client = await open();
  const key = { idempotency_key: "k" };
  const first = await submit(client, "CounterService/Increment", { key: "t" }, key);
  await reaches(client, first, "succeeded");
  expect(await submit(client, "CounterService/Increment", { key: "t" }, key)).toBe(first);
  expect(await submit(client, "EchoService/Echo", {}, key)).not.toBe(first);
  expect((await client.call("CounterService/Increment", { key: "t" })).body.result).toEqual({ count: 2 });
});

test("tasks in the metadata of a call, as released clients ask for them: only where the document says so", async () => {
  const client = await open({ tasks: { long_task_compat: true } });
  const long = (method?: string) => ({
    metadata: { timestamp_ms: 1, long_task: true, ...(method !== undefined && { long_task_method: method }) },
  });
  const submitted = (await client.call("EchoService/Echo", { a: 1 }, long())).body.result;
  expect(submitted).toEqual({
    task_id: expect.any(String),
    status: "pending",
    created_at_ms: expect.any(Number),
  });
  const { task_id } = submitted;
  await reaches(client, task_id, "succeeded");
  const inner = expect.objectContaining({ status: "success", result: { a: 1 }, aduib_rpc: "2.0" });
  for (const method of ["task/status", "task/result"])
    expect((await client.call("EchoService/Echo", { task_id }, long(method))).body.result).toEqual({
      task_id,
      status: "succeeded",
      created_at_ms: submitted.created_at_ms,
      updated_at_ms: expect.any(Number),
      value: inner,
    });
  const queried = await client.call("EchoService/Echo", { task_id }, long("task/query"));
  expect(queried.body.result.task.result).toEqual(inner);
  const cancelled = await client.call("EchoService/Echo", { task_id }, long("task/cancel"));
  expect(cancelled.body.result).toEqual({ task_id, status: "succeeded", canceled: false });
  expect(codeOf(await client.call("EchoService/Echo", { task_id }, long("task/nope")))).toBe(2003);
  expect(codeOf(await client.call("EchoService/Echo", { task_id }, long("task/subscribe")))).toBe(2000);
  expect(codeOf(await client.call("MathService/Divide", { a: 1 }, long()))).toBe(2001);
  client.change({});
  expect((await client.call("EchoService/Echo", { a: 1 }, long())).body.result).toEqual({ a: 1 });
});

test("finished tasks go after their time", async () => {
  const client = await open({ tasks: { ttl_s: 1 } });
  const id = await submit(client, "EchoService/Echo", { a: 1 });
  await reaches(client, id, "succeeded");
  await until(
    "it to be forgotten",
    async () => codeOf(await client.call("TaskService/Query", { task_id: id })) === 4000,
  );
});

test("a stop that is asked for keeps what waits, and what ran is taken up again", async () => {
  const client = await open();
  const runs = await submit(client, "DemoService/Sleep", { ms: 3_000 });
  await reaches(client, runs, "running");
  await client.restart();
  expect(await reaches(client, runs, "succeeded")).toMatchObject({ attempt: 2 });
});

test("V35: kill -9: what may run twice runs again, what may not has failed, what was to come comes", async () => {
  const dataDir = mkdtempSync(join(tmpdir(), "roost-rpc-"));
  const env = { ROOST_RPC_ENABLED: "true", ROOST_RPC_FIXTURES: "true" };
  let process = await startProcess({ dataDir, env });
  try {
    let client = rpcClient(process.url);
    const again = await submit(client, "DemoService/Sleep", { ms: 5_000 });
    const once = await submit(client, "DemoService/SleepOnce", { ms: 5_000 });
    await reaches(client, again, "running");
    await reaches(client, once, "running");
    const at = Date.now() + 10_000;
    const later = await submit(client, "EchoService/Echo", { n: 1 }, { scheduled_at_ms: at });
    await process.end("SIGKILL");
    process = await startProcess({ dataDir, env });
    client = rpcClient(process.url);
    expect(await reaches(client, once, "failed")).toMatchObject({
      error: {
        code: 5002,
        details: [{ type: "aduib.rpc/task", reason: "the server restarted while the task ran" }],
      },
    });
    const second = await reaches(client, again, "running", "succeeded");
    expect(second.attempt).toBe(2);
    expect(await reaches(client, again, "succeeded")).toMatchObject({ attempt: 2, result: { slept: 5_000 } });
    const done = await reaches(client, later, "succeeded");
    expect(done.started_at_ms).toBeGreaterThanOrEqual(at);
  } finally {
    await process.end("SIGKILL");
    rmSync(dataDir, { recursive: true, force: true });
  }
});

withRedis.test(
  "Redis: one store for two servers; away is 6002, and what ran meanwhile is stored after it",
  async () => {
    const redis = await startRedis();
    const document = {
      tasks: { store: "redis", redis_url: redis.url, workers: 2 },
      idempotency: { store: "memory" },
    };
    const [one, two] = [await rpcServer(document), await rpcServer(document)];
    try {
      const ids = await Promise.all(
        Array.from({ length: 8 }, (_, n) =>
          submit(n % 2 === 0 ? one : two, "CounterService/Increment", { key: "r" }),
        ),
      );
      const counts = [];
      for (const id of ids) counts.push((await reaches(one, id, "succeeded")).result.count);
      const sums = await Promise.all(
        [one, two].map(
          async (client) =>
            (await client.call("CounterService/Increment", { key: "r" })).body.result.count - 1,
        ),
      );
      expect(sums.reduce((sum, count) => sum + count, 0)).toBe(8);
      const runs = await submit(one, "DemoService/Sleep", { ms: 1_500 });
      await reaches(two, runs, "running");
      const stream = two.stream("TaskService/Subscribe", { task_id: runs });
      expect((await stream.next()).value).toMatchObject({ type: "data" });
      const followed = frames(stream);
      redis.pause();
      expect(codeOf(await one.call("TaskService/Query", { task_id: runs }))).toBe(6002);
      expect(codeOf(await one.call("TaskService/Submit", { target_method: "rpc.v2/EchoService/Echo" }))).toBe(
        6002,
      );
      redis.resume();
      expect(await reaches(two, runs, "succeeded")).toMatchObject({ attempt: 1, result: { slept: 1_500 } });
      expect(events(await followed).slice(-2)).toEqual(["completed(succeeded)", "end"]);
    } finally {
      await Promise.all([one.stop(), two.stop()]);
      await redis.stop();
    }
  },
);
