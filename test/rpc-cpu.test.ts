// Methods that block, in a whole server (contract 10.2): their deadline holds, and the server answers others meanwhile.
import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { type RpcServer, rpcServer } from "./support/rpc-document-server.ts";
import { until } from "./support/until.ts";

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
const within = (timeout_ms: number) => ({ qos: { timeout_ms } });

test("one that blocks for a minute is answered at its deadline, and others meanwhile", async () => {
  const { call } = await open({ cpu: { workers: 1 } });
  // Its thread is there.
  expect((await call("DemoService/Burn", { ms: 1 })).body.result).toMatchObject({ is_main: false });
  const began = performance.now();
  const blocking = call("DemoService/Burn", { ms: 60_000 }, within(500)).then(({ status, body }) => ({
    status,
    code: body.error.code,
    tookMs: performance.now() - began,
  }));
  for (let n = 0; n < 20; n++) expect((await call("EchoService/Echo", { n })).body.result).toEqual({ n });
  const meanwhileMs = performance.now() - began;
  const { status, code, tookMs } = await blocking;
  expect([status, code]).toEqual([504, 5003]);
  expect(tookMs).toBeGreaterThanOrEqual(499);
  expect(tookMs).toBeLessThan(5_000);
  expect(meanwhileMs).toBeLessThan(5_000);
  // The place is free, and so is the line.
  expect((await call("DemoService/Burn", { ms: 1 })).status).toBe(200);
  // Ended is ended: no result comes late.
  expect((await call("DemoService/State")).body.result.late_results).toBe(0);
});

test("one that dies or throws costs its call; too many at once are refused; the rest of the contract holds", async () => {
  const { call } = await open({ cpu: { workers: 1, queue_depth: 1 } });
  const ends = async (end: string, more = {}) => {
    const { status, body } = await call("DemoService/Burn", { ms: 1, end, ...more });
    return [status, body.error?.code ?? body.status, body.error?.message ?? body.result];
  };
  expect(await ends("exit")).toEqual([500, 5000, "Internal error"]);
  expect(await ends("throw")).toEqual([500, 5000, "Internal error"]);
  expect(await ends("function")).toEqual([500, 5000, "Internal error"]);
  expect(await ends("refuse", { code: 3011 })).toEqual([403, 3011, "no"]);
  expect(await ends("partial")).toEqual([200, "partial", { burnt: 1 }]);
  const three = await Promise.all([1, 2, 3].map(() => call("DemoService/Burn", { ms: 1_000 })));
  expect(three.map(({ status }) => status).sort()).toEqual([200, 200, 429]);
  expect(three.find(({ status }) => status === 429)?.body.error).toMatchObject({
    code: 5021,
    details: [{ type: "aduib.rpc/bulkhead" }],
  });
  expect((await call("DemoService/Burn", { ms: "x" })).body.error.code).toBe(2001);
});

test("as a task it tells of its progress, is ended when it is canceled, and at its own deadline", async () => {
  const { call } = await open({ cpu: { workers: 1 } });
  const submit = async (ms: number, more = {}): Promise<string> => {
    const target = { target_method: "rpc.v2/DemoService/Burn", params: { ms }, ...more };
    return (await call("TaskService/Submit", target)).body.result.task_id;
  };
  const task = async (task_id: string) => (await call("TaskService/Query", { task_id })).body.result.task;
  const done = await submit(10);
  await until("it is over", async () => (await task(done)).status === "succeeded");
  expect(await task(done)).toMatchObject({
    result: { burnt: 10, attempt: 1, is_main: false },
    progress: { current: 1, total: 1, message: "burnt", percentage: 100 },
  });
  const canceled = await submit(60_000);
  await until("it runs", async () => (await task(canceled)).progress?.current === 0);
  await call("TaskService/Cancel", { task_id: canceled });
  const late = await submit(60_000, { timeout_ms: 300 });
  await until("its deadline", async () => (await task(late)).status === "failed");
  expect((await task(late)).error.code).toBe(5003);
  // Neither holds the only thread any more.
  expect((await call("DemoService/Burn", { ms: 1 }, within(20_000))).status).toBe(200);
});

test("a stop ends one that blocks, and does not wait for it", async () => {
  const { call, restart } = await open();
  const blocking = call("DemoService/Burn", { ms: 60_000 }, within(60_000)).catch(() => undefined);
  await Bun.sleep(200);
  const began = performance.now();
  await restart();
  expect(performance.now() - began).toBeLessThan(15_000);
  await blocking;
  expect((await call("DemoService/Burn", { ms: 1 })).status).toBe(200);
});

test("at the endpoint of streams one is one item, in its thread too", async () => {
  const { stream } = await open();
  const frames = await Array.fromAsync(stream("DemoService/Burn", { ms: 1 }));
  expect(frames.map(({ type }) => type)).toEqual(["data", "end"]);
  expect(frames[0].payload.data).toMatchObject({ burnt: 1, is_main: false });
});
