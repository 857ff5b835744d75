// Holds the workers to what a client is told of a task: progress in its order, retries that agree with the table of errors, a cancelled or
// replaced attempt that stores nothing more, a store that is away for a while.
import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { documentFrom } from "../../../test/support/rpc-call.ts";
import { until } from "../../../test/support/until.ts";
import { createLog } from "../../observability/log.ts";
import { Metrics } from "../../observability/metrics.ts";
import { CpuThreads } from "../cpu/cpu-threads.ts";
import { MemoryCalls } from "../idempotency/memory-calls.ts";
import { NOBODY } from "../pipeline/call.ts";
import { Pipeline } from "../pipeline/pipeline.ts";
import type { CallContext } from "../registry/call-context.ts";
import type { MethodDefinition } from "../registry/definition.ts";
import { Registry } from "../registry/registry.ts";
import { RpcError } from "../wire/rpc-error.ts";
import { MemoryTasks } from "./memory-tasks.ts";
import { type OpenTasks, openTasks } from "./open-tasks.ts";
import type { Task } from "./task.ts";
import { RENEW_MS, type TaskListener } from "./task-store.ts";
import type { TaskEvent } from "./tasks.ts";

setDefaultTimeout(30_000);

const log = createLog("silent");
let opened: OpenTasks | undefined;
let late = 0;
afterEach(async () => {
  await opened?.stop();
  opened = undefined;
});

const context = (tenant_id = "acme", signal = new AbortController().signal) =>
  ({
    tenant_id,
    signal,
    principal: { ...NOBODY },
    trace: {
      trace_id: "1".repeat(32),
      span_id: "2".repeat(16),
      parent_span_id: null,
      sampled: true,
      baggage: {},
    },
    negotiated_version: "2.0",
  }) as unknown as CallContext;

/** A store that can be away, and that may give one task in no form in which it can begin. */
class Away extends MemoryTasks {
  isAway = false;
  damaged = "";
  override async claim(...given: Parameters<MemoryTasks["claim"]>) {
    const claimed = await super.claim(...given);
    return claimed.map((one) => (one.task.id === this.damaged ? { ...one, params: "{" } : one));
  }
  override update(...given: Parameters<MemoryTasks["update"]>) {
    return this.isAway ? Promise.reject(new RpcError(6002)) : super.update(...given);
  }
}

type Run = MethodDefinition["run"];

async function open(methods: Record<string, Run>, document: Record<string, unknown> = {}, idempotent = true) {
  late = 0;
  let listener: TaskListener | undefined;
  const store = new Away({ changed: (task) => listener?.changed(task), again: () => listener?.again() });
  const registry = new Registry();
  registry.register(
    Object.entries(methods).map(([handler, run]) => ({
      service: "Own",
      handler,
      source: "module",
      run,
      idempotent,
    })),
  );
  const nothing = () => {};
  const pipeline = new Pipeline({
    registry,
    server: { id: "s", version: "0" },
    log,
    authentication: { identify: () => NOBODY },
    authorization: { check: nothing },
    rateLimiting: { take: nothing },
    idempotency: { enter: async () => undefined, completed: async () => {}, released: async () => {} },
    blocking: new CpuThreads({ document: () => documentFrom(document) }),
    guards: {
      enter: () => ({ release: nothing }),
      admit: () => ({ succeeded: nothing, failed: nothing, ignored: nothing }),
    },
    observer: {
      began: nothing,
      identified: nothing,
      answered: nothing,
      fellBack: nothing,
      rateLimited: nothing,
      ended: nothing,
      retried: nothing,
      replayed: nothing,
      lateResult: () => {
        late++;
      },
      deprecatedCall: nothing,
      access: nothing,
      cancelled: nothing,
      unexpected: nothing,
    },
  });
  const current = documentFrom(document);
  opened = await openTasks({
    store,
    calls: new MemoryCalls(() => ({ entries: 1, bytes: 1 })),
    node: "me",
    pipeline,
    document: () => current,
    metrics: new Metrics(),
    log,
  });
  listener = opened.listener;
  opened.start();
  const { tasks } = opened;
  const submit = async (handler: string, more = {}) =>
    (await tasks.submit({ target_method: `rpc.v2/Own/${handler}`, ...more }, context())).task_id;
  const task = async (id: string): Promise<Task> => (await tasks.find(id, context())).task;
  const reaches = (id: string, status: string) =>
    until(`the task to be ${status}`, async () => {
      const now = await task(id);
      return now.status === status ? now : undefined;
    });
  const followed = async (id: string): Promise<TaskEvent[]> => {
    const events: TaskEvent[] = [];
    for await (const event of tasks.follow({ task_id: id }, context())) events.push(event);
    return events;
  };
  return { tasks, store, submit, task, reaches, followed };
}

const soon = () => ({ scheduled_at_ms: Date.now() + 200 });

test("V51: every progress is an event, with a percentage, before the end", async () => {
  const { submit, followed } = await open({
    Steps: async (_data, own) => {
      for (let step = 1; step <= 3; step++) {
        await Bun.sleep(5);
        own.emit_progress(step, 3, `step ${step}`);
      }
      return { steps: 3 };
    },
  });
  const events = await followed(await submit("Steps", soon()));
  expect(events.map(({ event, task }) => `${event} ${task.status}`)).toEqual([
    "progress scheduled",
    "progress pending",
    "started running",
    "progress running",
    "progress running",
    "progress running",
    "completed succeeded",
  ]);
  const told = events.slice(3, 6).map(({ task }) => task.progress as { percentage: number; message: string });
  expect(told.map(({ percentage }) => percentage.toFixed(1))).toEqual(["33.3", "66.7", "100.0"]);
  expect(told.map(({ message }) => message)).toEqual(["step 1", "step 2", "step 3"]);
});

test("a handler that tells of progress without an end to it costs bounded memory and still ends", async () => {
  const { submit, reaches } = await open({
    Much: (_data, own) => {
      for (let n = 0; n < 100_000; n++) own.emit_progress(n, 100_000, "x".repeat(5_000));
      own.emit_progress(Number.NaN, 1);
      return Promise.resolve("done");
    },
  });
  const done = await reaches(await submit("Much"), "succeeded");
  expect(done.progress).toMatchObject({ current: 99_999 });
  expect(done.progress?.message).toHaveLength(1_024);
});

test("what is retried agrees with the table of errors, and ends with the attempts", async () => {
  const { submit, reaches } = await open({
    Fails: (data) => {
      throw new RpcError(Number(data?.code));
    },
    Throws: () => {
      throw new Error("boom");
    },
  });
  const fails = async (code: number) =>
    (await reaches(await submit("Fails", { params: { code } }), "failed")).attempt;
  expect(await fails(6002)).toBe(3);
  expect(await fails(4000)).toBe(1);
  expect(await fails(5010)).toBe(1);
  const thrown = await reaches(await submit("Throws", { max_attempts: 2 }), "failed");
  expect(thrown).toMatchObject({ attempt: 2, error: { code: 5000, message: "Internal error" } });
  expect(JSON.stringify(thrown)).not.toContain("boom");
});

test("each attempt has the task's timeout, and a method that may not run twice has one", async () => {
  const { submit, reaches } = await open(
    { Slow: () => Bun.sleep(5_000) },
    { qos: { zombie_grace_ms: 50 } },
    false,
  );
  const failed = await reaches(await submit("Slow", { timeout_ms: 50 }), "failed");
  expect(failed).toMatchObject({ attempt: 1, maxAttempts: 1, error: { code: 5003 } });
});

test("a cancelled handler that goes on stores nothing, and its worker is given to another", async () => {
  const gate = Promise.withResolvers<void>();
  const { tasks, submit, task, reaches } = await open(
    {
      Deaf: async (_data, own) => {
        await gate.promise;
        own.emit_progress(1, 1);
        return "late";
      },
      Quick: () => "quick",
    },
    { tasks: { workers: 1 }, qos: { zombie_grace_ms: 100 } },
  );
  const deaf = await submit("Deaf");
  await reaches(deaf, "running");
  const waits = await submit("Quick");
  await tasks.cancel({ task_id: deaf, reason: "enough" }, context());
  await reaches(waits, "succeeded");
  gate.resolve();
  await until("the late result to be counted", () => late === 1);
  expect(await task(deaf)).toMatchObject({
    status: "canceled",
    error: null,
    progress: null,
    metadata: { cancel_reason: "enough" },
  });
});

test("while the store is away a task goes on, and its end is stored when it is back", async () => {
  const { store, submit, reaches, task } = await open({ Short: () => Bun.sleep(50).then(() => "done") });
  const id = await submit("Short");
  await reaches(id, "running");
  store.isAway = true;
  await Bun.sleep(200);
  expect((await task(id)).status).toBe("running");
  store.isAway = false;
  await reaches(id, "succeeded");
});

test("one that cannot begin keeps none back that is claimed with it", async () => {
  const { store, submit, reaches } = await open({ Quick: () => "quick" });
  const at = soon();
  store.damaged = await submit("Quick", { ...at, priority: 3 });
  const others = [await submit("Quick", at), await submit("Quick", at)];
  const before = performance.now();
  for (const id of others) await reaches(id, "succeeded");
  // What is found again later is found by the next renewal of leases.
  expect(performance.now() - before).toBeLessThan(RENEW_MS / 2);
});

test("a result that is too large fails the task, and says so", async () => {
  const { submit, reaches } = await open(
    { Large: () => "x".repeat(20_000) },
    { tasks: { max_bytes: 65_536 } },
  );
  expect(await reaches(await submit("Large"), "failed")).toMatchObject({
    error: { code: 5021, details: [{ reason: "the result is too large to be kept" }] },
  });
});

test("a follower that is far behind loses progress, never the end; one that leaves ends nothing", async () => {
  const { tasks, submit, reaches, task } = await open({
    Steps: async (_data, own) => {
      for (let n = 1; n <= 3_000; n++) {
        own.emit_progress(n, 3_000);
        if (n % 10 === 0) await Bun.sleep(0);
      }
      return "done";
    },
  });
  const id = await submit("Steps", soon());
  const slow = tasks.follow({ task_id: id }, context());
  await slow.next();
  const leaving = new AbortController();
  const left = tasks.follow({ task_id: id }, context("acme", leaving.signal));
  await left.next();
  const next = left.next();
  leaving.abort();
  expect((await next).done).toBe(true);
  await reaches(id, "succeeded");
  const events: TaskEvent[] = [];
  for await (const event of slow) events.push(event);
  expect(events.length).toBeLessThanOrEqual(1_001);
  expect(events.at(-1)).toMatchObject({ event: "completed", task: { status: "succeeded", result: "done" } });
  expect((await task(id)).status).toBe("succeeded");
  expect(tasks.subscriptions.ids()).toEqual([]);
});
