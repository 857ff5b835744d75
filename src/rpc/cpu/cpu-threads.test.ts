// Holds methods that block to their promise: a deadline that ends them, a failure that costs one call, so many threads and so long a line,
// memory that comes back, and nothing of one call in another.
import { afterAll, afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { callFrom, documentFrom } from "../../../test/support/rpc-call.ts";
import { until } from "../../../test/support/until.ts";
import { createLog } from "../../observability/log.ts";
import { HandlerContext } from "../pipeline/handler-context.ts";
import type { Progress } from "../registry/call-context.ts";
import { PartialResult } from "../registry/call-context.ts";
import { CpuThreads } from "./cpu-threads.ts";

setDefaultTimeout(60_000);

const folder = mkdtempSync(join(tmpdir(), "roost-cpu-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const path = join(folder, "service.ts");
writeFileSync(
  path,
  `let calls = 0;
   export default { service: "Own", version: "1.0.0", methods: {
     Hang: () => { for (;;); },
     Where: () => ({ isMain: Bun.isMainThread, calls: ++calls }),
     Fill: () => { const held = []; for (;;) if (held.length < 40) held.push(new Uint8Array(2 ** 20).fill(7)); },
     Exit: () => process.exit(0),
     Later: () => { setTimeout(() => { throw new Error("left behind"); }, 1); return new Promise(() => {}); },
     Fail: { run: () => { throw new RangeError("boom"); } },
     NoValue: () => undefined,
     NotPlain: () => ({ inside: () => 1 }),
     Echo: (data) => data,
     Bytes: () => new Uint8Array([1, 2, 3]),
     Part: (data, context) => context.partial({ a: 1 }, { total: 2, page: 1, page_size: 1, has_next: true }),
     Context: ({ n }, { log, emit_progress, ...rest }) => {
       emit_progress(n, 4, "step");
       log.warn({ n, authorization: "secret" }, "said in a thread");
       return { tenant: rest.tenant_id, principal: rest.principal.id, trace: rest.trace, headers: rest.headers };
     },
     Chatter: (data, { emit_progress }) => { setInterval(() => emit_progress(1, 1, "of another call"), 1); return 1; },
   } };`,
);

let threads: CpuThreads | undefined;
afterEach(() => {
  threads?.stop();
  threads = undefined;
});

const lines: string[] = [];
const log = createLog("info", { write: (line: string) => lines.push(line) });

function open(cpu: Record<string, unknown> = {}, more: { idleMs?: number } = {}): CpuThreads {
  threads = new CpuThreads({ document: () => documentFrom({ cpu }), ...more });
  return threads;
}

/** A call of a method of that module, as it is when its handler runs. */
function begun(handler: string, data: Record<string, unknown> | null = null, priority = 1) {
  const call = callFrom({
    method: `rpc.v2/Own/${handler}`,
    definition: { cpu: { path } },
    qos: { priority },
  });
  const progress: Progress[] = [];
  call.progress = (one) => progress.push(one);
  const request = { ...call.asked, data };
  call.request = request;
  return { call, progress, context: new HandlerContext(call, log) };
}
const run = (handler: string, data?: Record<string, unknown> | null, priority?: number) => {
  const { call, context } = begun(handler, data, priority);
  return { call, result: (threads ?? open()).run({ path }, call, context) };
};
const caught = (work: Promise<unknown>) =>
  work.then(
    () => expect.unreachable(),
    (error: unknown) => error as Error & { code?: number },
  );

test("it runs in another thread, which stays for the next call", async () => {
  const pool = open();
  expect(await run("Where").result).toEqual({ isMain: false, calls: 1 });
  expect(await run("Where").result).toEqual({ isMain: false, calls: 2 });
  expect(pool.figures).toEqual({ threads: 1, running: 0, waiting: 0 });
});

test("one that hangs is ended when its call ends; the next call has a thread at once, and the server never waits", async () => {
  const pool = open({ workers: 1 });
  for (const by of ["deadline", "cancel", "disconnect", "shutdown"] as const) {
    const { call, result } = run("Hang");
    await Bun.sleep(30);
    const at = performance.now();
    call.end(by);
    const error = await caught(result);
    expect([error.code, error.message]).toEqual([by === "deadline" ? 5003 : 5002, `ended by ${by}`]);
    expect(performance.now() - at).toBeLessThan(1_000);
    expect(await run("Where").result).toEqual({ isMain: false, calls: 1 });
  }
  expect(pool.figures.threads).toBe(1);
});

test("one that dies costs only its call", async () => {
  open({ workers: 2 });
  const beside = run("Hang");
  for (const handler of ["Exit", "Later"]) {
    const error = await caught(run(handler).result);
    expect([error.code, error.message]).toEqual([
      undefined,
      expect.stringContaining("the thread of a method"),
    ]);
    expect(await run("Where").result).toMatchObject({ isMain: false });
  }
  const other = await Promise.race([beside.result, Promise.resolve("runs on")]);
  expect(other).toBe("runs on");
  beside.call.end("cancel");
  await caught(beside.result);
});

test("what it throws and returns arrives as from any handler", async () => {
  open();
  const failure = await caught(run("Fail").result);
  expect([failure.name, failure.message, failure.code]).toEqual(["RangeError", "boom", undefined]);
  expect(failure.stack).toContain("service.ts");
  expect((await caught(run("NotPlain").result)).name).toBe("DataCloneError");
  expect((await caught(run("Missing").result)).message).toContain("has no method Missing");
  expect((await caught(run("toString").result)).message).toContain("has no method toString");
  expect(await run("NoValue").result).toBeUndefined();
  expect(await run("Bytes").result).toEqual(new Uint8Array([1, 2, 3]));
  const part = await run("Part").result;
  expect(part).toBeInstanceOf(PartialResult);
  expect(part).toMatchObject({ result: { a: 1 }, pagination: { total: 2, has_next: true } });
  expect(await run("Echo", { a: [1, { b: null }] }).result).toEqual({ a: [1, { b: null }] });
});

test("its context has the call's values, and what it logs and tells goes through the server's own", async () => {
  const pool = open();
  const { call, context, progress } = begun("Context", { n: 2 });
  call.tenant = "acme";
  expect(await pool.run({ path }, call, context)).toMatchObject({ tenant: "acme", principal: "somebody" });
  expect(progress).toEqual([{ current: 2, total: 4, message: "step", percentage: 50 }]);
  const said = lines.map((line) => JSON.parse(line)).find(({ msg }) => msg === "said in a thread");
  expect(said).toMatchObject({ level: 40, n: 2, tenant_id: "acme", request_id: "1" });
  expect(JSON.stringify(said)).not.toContain("secret");
});

test("nothing that a call left behind is told as of the next one", async () => {
  const pool = open({ workers: 1 });
  await run("Chatter").result;
  const { call, context, progress } = begun("Hang");
  const hanging = pool.run({ path }, call, context);
  await Bun.sleep(50);
  call.end("cancel");
  await caught(hanging);
  const next = begun("Where");
  await pool.run({ path }, next.call, next.context);
  expect([progress, next.progress]).toEqual([[], []]);
});

test("so many run and so many wait; the important one first; one beyond is refused and one whose call ends leaves", async () => {
  const pool = open({ workers: 1, queue_depth: 3 });
  const order: string[] = [];
  const first = run("Hang");
  const low = run("Where", null, 0);
  const high = run("Where", null, 3);
  const gone = run("Where", null, 2);
  void low.result.then(() => order.push("low"));
  void high.result.then(() => order.push("high"));
  const refused = await caught(run("Where", null, 0).result);
  expect([refused.code, pool.figures]).toEqual([5021, { threads: 1, running: 1, waiting: 3 }]);
  gone.call.end("deadline");
  expect((await caught(gone.result)).code).toBe(5003);
  expect(pool.figures.waiting).toBe(2);
  first.call.end("cancel");
  await caught(first.result);
  await Promise.all([low.result, high.result]);
  expect(order).toEqual(["high", "low"]);
  expect(pool.figures).toEqual({ threads: 1, running: 0, waiting: 0 });
});

test("threads that were ended give their memory back, and one without work is ended", async () => {
  const pool = open({ workers: 2 }, { idleMs: 100 });
  const once = async () => {
    const { call, result } = run("Fill");
    // It holds 40 MB by then, or the machine is slow.
    await Bun.sleep(150);
    call.end("deadline");
    await caught(result);
  };
  await once();
  await once();
  Bun.gc(true);
  const before = process.memoryUsage.rss();
  for (let n = 0; n < 12; n++) await once();
  Bun.gc(true);
  // Twelve times 40 MB would be 480.
  await until("memory is back", () => process.memoryUsage.rss() - before < 100 * 2 ** 20);
  await run("Where").result;
  await until("the idle thread is gone", () => pool.figures.threads === 0);
  expect(await run("Where").result).toEqual({ isMain: false, calls: 1 });
});

test("after the stop nothing runs and nothing begins", async () => {
  const pool = open({ workers: 1 });
  const running = run("Hang");
  const waiting = run("Where");
  await Bun.sleep(20);
  pool.stop();
  expect([(await caught(running.result)).code, (await caught(waiting.result)).code]).toEqual([5002, 5002]);
  expect(pool.figures).toEqual({ threads: 0, running: 0, waiting: 0 });
});
