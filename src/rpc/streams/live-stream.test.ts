// One stream with a sink of the test: what ends it, what its handler hears, and what it gives back, whoever ends it.
import { describe, expect, test } from "bun:test";
import { until } from "../../../test/support/until.ts";
import { createLog } from "../../observability/log.ts";
import { type RpcDocument, rpcDocument } from "../document/document.ts";
import { Call } from "../pipeline/call.ts";
import type { Incoming } from "../pipeline/incoming.ts";
import type { Handler } from "../registry/definition.ts";
import { detail, RpcError } from "../wire/rpc-error.ts";
import type { StreamMessage } from "../wire/stream-message.ts";
import { type FrameSink, LiveStream } from "./live-stream.ts";

interface Options {
  readonly document?: object;
  readonly sink?: Partial<FrameSink>;
  /** As its caller asks. */
  readonly timeoutMs?: number;
  /** As its method has it. */
  readonly ownTimeoutMs?: number;
}

function begun(run: Handler, options: Options = {}) {
  const one = made(run, options);
  return { ...one, running: one.run() };
}

function made(run: Handler, { document, sink = {}, timeoutMs, ownTimeoutMs }: Options = {}) {
  const frames: StreamMessage[] = [];
  const told: string[] = [];
  const config: RpcDocument = rpcDocument.parse(document ?? {});
  const call = new Call({ config, kind: "stream", startedAt: performance.now() } as Incoming);
  if (timeoutMs !== undefined) call.deadlineAt = performance.now() + timeoutMs;
  call.request = { data: null, qos: { timeoutMs }, method: {} } as never;
  call.method = {
    ...{ service: "S", handler: "H", source: "builtin", run },
    ...(ownTimeoutMs !== undefined && { timeoutMs: ownTimeoutMs }),
  };
  const stream = new LiveStream(
    {
      call,
      slot: { release: () => told.push("place back") },
      ticket: {
        succeeded: () => told.push("succeeded"),
        failed: (code) => told.push(`failed ${code}`),
        ignored: () => told.push("ignored"),
      },
    },
    {
      log: createLog("silent"),
      blocking: undefined as never,
      unexpected: (_call, error) => told.push(`unexpected ${(error as Error).message}`),
      sent: () => {},
      ended: ({ state }, { status }) => told.push(`${state} ${status}`),
    },
  );
  const to: FrameSink = {
    isHeard: true,
    send: (frame) => {
      JSON.stringify(frame);
      frames.push(frame);
      return "sent";
    },
    room: () => undefined,
    close: () => told.push("closed"),
    ...sink,
  };
  return {
    stream,
    frames,
    told,
    call,
    run: () => stream.run(to),
    types: () => frames.map(({ type }) => type),
  };
}

const forever = () => new Promise<never>(() => {});

describe("a stream ends once", () => {
  test("when its handler is done", async () => {
    const { running, types, told } = begun(async function* () {
      yield 1;
    });
    await running;
    expect(types()).toEqual(["data", "end"]);
    expect(told).toEqual(["succeeded", "place back", "closed", "completed success"]);
  });

  test("when its client is gone, though its handler hangs; nothing is sent then", async () => {
    const { stream, running, types, told, call } = begun(async function* () {
      yield 1;
      await forever();
    });
    await until("a frame", () => types().length === 1);
    stream.disconnected();
    await running;
    stream.disconnected();
    expect([stream.cancel("late"), stream.ack(1), call.signal.aborted]).toEqual([false, false, true]);
    stream.shutdown();
    expect(types()).toEqual(["data"]);
    expect(told).toEqual(["ignored", "place back", "closed", "cancelled error"]);
  });

  test("when a frame finds nobody", async () => {
    const { running, told, stream } = begun(
      async function* () {
        yield 1;
        yield 2;
      },
      { sink: { send: () => "gone" } },
    );
    await running;
    expect([stream.state, stream.lastSequence]).toEqual(["cancelled", 0]);
    expect(told.at(-1)).toBe("cancelled error");
  });

  test("when a heartbeat finds nobody", async () => {
    const { running, stream } = begun(forever, {
      document: { stream: { heartbeat_interval_ms: 100 } },
      sink: { send: () => "gone" },
    });
    await running;
    expect(stream.state).toBe("cancelled");
  });

  test("before it began: its handler never runs, and its place is given back", async () => {
    let ran = false;
    const one = made(() => {
      ran = true;
    });
    expect(one.stream.cancel(undefined)).toBe(true);
    await one.run();
    expect([ran, one.types(), one.told]).toEqual([
      false,
      [],
      ["ignored", "place back", "cancelled error", "closed"],
    ]);
  });

  test("at its deadline, whatever its handler throws when it hears of it", async () => {
    const { running, types, told, stream, call } = begun(
      async function* (_data, { signal }) {
        await new Promise((_, reject) => signal.addEventListener("abort", () => reject(new Error("heard"))));
        yield 1;
      },
      { timeoutMs: 200, ownTimeoutMs: 200 },
    );
    await running;
    await Bun.sleep(0);
    expect([types(), stream.state, call.endedBy]).toEqual([["error", "end"], "errored", "deadline"]);
    expect(told).toEqual(["failed 5003", "place back", "closed", "errored error"]);
  });

  test("at a deadline that only its caller wanted: that is not the service's fault", async () => {
    for (const ownTimeoutMs of [undefined, 60_000]) {
      const { running, types, told } = begun(
        forever,
        ownTimeoutMs === undefined ? { timeoutMs: 50 } : { timeoutMs: 50, ownTimeoutMs },
      );
      await running;
      expect(types()).toEqual(["error", "end"]);
      expect(told).toEqual(["ignored", "place back", "closed", "errored error"]);
    }
  });

  test("when the server stops: that is not the service's fault", async () => {
    const { stream, running, frames, told } = begun(forever);
    stream.shutdown();
    await running;
    expect(frames).toMatchObject([
      { type: "error", sequence: 1, payload: { error: { code: 5002 } } },
      { type: "end", sequence: 2, payload: { control: { final: true, total_count: 0, reason: "error" } } },
    ]);
    expect(told[0]).toBe("ignored");
  });
});

describe("a handler", () => {
  test("that is abandoned may clean up; an iterator that throws at it hurts nobody", async () => {
    let cleaned = 0;
    const { stream, running, types } = begun(async function* () {
      try {
        for (;;) {
          await Bun.sleep(1);
          yield 1;
        }
      } finally {
        cleaned++;
      }
    });
    await until("frames", () => types().length > 2);
    stream.cancel("enough");
    await running;
    await until("the clean up", () => cleaned === 1);
    expect(types().slice(-2)).toEqual(["cancel", "end"]);
    const bad = {
      [Symbol.asyncIterator]: () => ({
        next: forever,
        return: () => {
          throw new Error("no");
        },
      }),
    };
    const other = begun(() => bad);
    other.stream.disconnected();
    await other.running;
    expect(other.told.at(-1)).toBe("cancelled error");
  });

  test("may promise what it gives, and give what is no stream", async () => {
    const later = begun(async () =>
      (async function* () {
        yield 1;
        yield 2;
      })(),
    );
    const plain = begun(async () => ({ one: true }));
    const incomplete = begun((_data, context) => context.partial({ items: [] }));
    await Promise.all([later.running, plain.running, incomplete.running]);
    expect(later.types()).toEqual(["data", "data", "end"]);
    expect([plain.frames[0]?.payload, incomplete.frames[0]?.payload]).toEqual([
      { data: { one: true } },
      { data: { items: [] } },
    ]);
  });

  test("keeps the code that it throws on purpose; what it did not mean says nothing of itself", async () => {
    const meant = begun(() => {
      throw new RpcError(6001, { message: "late", details: [detail("stream", "why")] });
    });
    const not = begun(async () => {
      throw new TypeError("secret");
    });
    await Promise.all([meant.running, not.running]);
    expect(meant.frames[0]?.payload).toMatchObject({ error: { code: 6001, message: "late" } });
    expect(JSON.stringify(not.frames)).not.toContain("secret");
    expect([meant.told[0], not.told.slice(0, 2)]).toEqual([
      "failed 6001",
      ["unexpected secret", "failed 5000"],
    ]);
  });

  test("whose item is no JSON fails there: the item has no number, and counts for nothing", async () => {
    let cleaned = false;
    const { running, frames, told } = begun(async function* () {
      try {
        yield 1;
        yield 1n;
      } finally {
        cleaned = true;
      }
    });
    await running;
    expect(frames.map(({ type, sequence }) => [type, sequence])).toEqual([
      ["data", 1],
      ["error", 2],
      ["end", 3],
    ]);
    expect(frames[2]?.payload).toEqual({ control: { final: true, total_count: 1, reason: "error" } });
    expect(told[0]).toStartWith("unexpected");
    expect(cleaned).toBe(true);
  });

  test("whose error is no JSON is told all the same", async () => {
    const { running, frames, types } = begun(() => {
      throw new RpcError(4000, { details: [detail("stream", "why", { metadata: { at: 1n } })] });
    });
    await running;
    expect(types()).toEqual(["error", "end"]);
    expect(frames[0]?.payload).toEqual({
      error: { code: 4000, name: "NOT_FOUND", message: "Resource not found" },
    });
  });
});

test("where debugging is on, a failure shows its stack", async () => {
  const one = begun(
    () => {
      throw new Error("inner");
    },
    { document: { debug: { enabled: true } } },
  );
  await one.running;
  expect(one.frames[0]?.payload).toMatchObject({ error: { debug: { internal_message: "Error: inner" } } });
});

test("nobody is pinged who is away, and what is left out of a shape is no sign of life", async () => {
  const document = { stream: { heartbeat_interval_ms: 100 } };
  const away = begun(forever, { document, sink: { isHeard: false } });
  const quiet: StreamMessage[] = [];
  const fragments = begun(
    async function* (_data, context) {
      for (let at = 0; at < 20; at++) {
        await Bun.sleep(20);
        yield context.fragment(at);
      }
    },
    {
      document,
      sink: {
        send: (frame) => {
          quiet.push(frame);
          return frame.type === "partial" ? "left-out" : "sent";
        },
      },
    },
  );
  await fragments.running;
  expect(quiet.filter(({ type }) => type === "heartbeat").length).toBeGreaterThanOrEqual(2);
  expect(quiet.map(({ sequence }) => sequence)).toEqual(quiet.map((_, at) => at + 1));
  expect(away.frames).toEqual([]);
  away.stream.disconnected();
});

test("a client that takes nothing stops its handler, not its heartbeats", async () => {
  let open: PromiseWithResolvers<void> | undefined = Promise.withResolvers<void>();
  let given = 0;
  const { running, types } = begun(
    async function* () {
      while (given < 3) yield given++;
    },
    { document: { stream: { heartbeat_interval_ms: 100 } }, sink: { room: () => open?.promise } },
  );
  await until("heartbeats", () => types().length >= 2);
  expect([given, new Set(types())]).toEqual([0, new Set(["heartbeat"])]);
  const gate = open;
  open = undefined;
  gate?.resolve();
  await running;
  expect(types().slice(-4)).toEqual(["data", "data", "data", "end"]);
});

test("a handler that never waits gives others their turns", async () => {
  let turns = 0;
  let isOver = false;
  const others = () => {
    if (isOver) return;
    turns++;
    setImmediate(others);
  };
  setImmediate(others);
  const { running, frames } = begun(async function* () {
    for (let at = 0; at < 6_400; at++) yield at;
  });
  await running;
  isOver = true;
  expect(frames.length).toBe(6_401);
  expect(turns).toBeGreaterThanOrEqual(99);
});
