// Streams of calls as a client of the whole server sees them, over real sockets: the vectors of the contract (V23 to V28, V41 to V43) and
// what else section 7 promises. Where a test wants methods of its own, or looks at what is inside, the room stands alone behind the same door.
import { afterAll, afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { MemoryExchange } from "../src/bus/memory.ts";
import { createLog } from "../src/observability/log.ts";
import { RawConnection } from "./faults/raw-connection.ts";
import { type RpcRoom, type RpcRoomOptions, rpcRoom, stream } from "./support/rpc-room.ts";
import { KEY, SECURED, type Served, served, stopServers } from "./support/rpc-server.ts";
import { RpcStreamClient } from "./support/rpc-stream-client.ts";
import { type TestServer, testServer } from "./support/server.ts";
import { until } from "./support/until.ts";

// A busy machine is slow, not wrong.
setDefaultTimeout(30_000);

let server: TestServer;
beforeAll(async () => {
  server = await testServer({ rpcEnabled: true, rpcFixtures: true, metricsToken: "figures" });
});
afterAll(async () => {
  await server.stop();
  await stopServers();
});

const cleanup: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of cleanup.splice(0).reverse()) await step();
});

async function room(options: RpcRoomOptions = {}): Promise<RpcRoom> {
  const one = await rpcRoom(options);
  cleanup.push(() => one.stop());
  return one;
}

async function open(
  url: string,
  body: object | undefined,
  headers?: Record<string, string>,
): Promise<RpcStreamClient> {
  const client = await RpcStreamClient.open(url, body, headers);
  cleanup.push(() => client.leave());
  return client;
}

const post = (path: string, body: object | string, headers: Record<string, string> = {}) =>
  fetch(`${server.url}/aduib_rpc/v2${path}`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });

const state = async () => {
  const answer = await post("/rpc", { id: "s", method: "rpc.v2/DemoService/State" });
  return ((await answer.json()) as { result: { aborts: number; running: number } }).result;
};
const figures = async () => {
  const page = await fetch(`${server.url}/metrics`, { headers: { authorization: "Bearer figures" } });
  return page.text();
};

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

describe("a stream", () => {
  test("is its frames in order, then the body ends (V23)", async () => {
    const client = await open(server.url, stream("Count", { n: 2 }));
    await client.over();
    const { headers } = client.response;
    expect(client.text.replace(/"timestamp_ms":\d+/g, '"timestamp_ms":T')).toBe(
      'id: 1\ndata: {"type":"data","sequence":1,"payload":{"data":{"index":0}},"timestamp_ms":T}\n\n' +
        'id: 2\ndata: {"type":"data","sequence":2,"payload":{"data":{"index":1}},"timestamp_ms":T}\n\n' +
        'id: 3\ndata: {"type":"end","sequence":3,"payload":{"control":{"final":true,"total_count":2}},"timestamp_ms":T}\n\n',
    );
    expect(client.ended).toBe("whole");
    expect(client.id).toMatch(UUID);
    for (const { data } of client.frames)
      expect(Math.abs(Date.now() - data.timestamp_ms)).toBeLessThan(30_000);
    expect(Object.fromEntries(headers)).toMatchObject({
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-cache",
      "x-accel-buffering": "no",
      "x-aduib-negotiated-version": "2.0",
      "x-aduib-stream-shape": "message",
      traceparent: expect.stringMatching(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/),
    });
    expect(headers.get("content-encoding")).toBeNull();
  });

  test("has the alias path of the released client", async () => {
    const client = await RpcStreamClient.open(
      server.url,
      stream("Count", { n: 1 }),
      {},
      "/aduib_rpc/v2/AduibRpcService/CallServerStream",
    );
    await client.over();
    expect(client.types).toEqual(["data", "end"]);
  });

  test("tells a failure in a frame, then ends (V24)", async () => {
    const client = await open(server.url, stream("Count", { n: 5, fail_at: 1 }));
    await client.over();
    expect(client.frames.map(({ data }) => [data.type, data.sequence])).toEqual([
      ["data", 1],
      ["error", 2],
      ["end", 3],
    ]);
    expect(client.frames[1]?.data.payload.error).toEqual({
      code: 5000,
      name: "INTERNAL_ERROR",
      message: "Internal error",
    });
    expect(client.last.payload).toEqual({ control: { final: true, total_count: 1, reason: "error" } });
    expect(client.text).not.toContain("boom");
  });

  test("of a method that fails before its first item still begins with 200", async () => {
    const client = await open(server.url, stream("Count", { n: 5, fail_at: 0 }));
    await client.over();
    expect(client.types).toEqual(["error", "end"]);
  });

  test("of a method that does not stream is one item", async () => {
    const client = await open(server.url, { id: "e", method: "rpc.v2/EchoService/Echo", data: { a: 1 } });
    await client.over();
    expect(client.types).toEqual(["data", "end"]);
    expect(client.items).toEqual([{ a: 1 }]);
    const nothing = await open(server.url, { id: "n", method: "rpc.v2/DemoService/Nothing" });
    await nothing.over();
    expect(nothing.items).toEqual([null]);
  });

  test("may give fragments of an item before it, which do not count (V42)", async () => {
    const client = await open(server.url, stream("Tokens", { words: ["ab"] }));
    await client.over();
    expect(client.frames.map(({ data }) => [data.type, data.sequence, data.payload])).toEqual([
      ["partial", 1, { data: { delta: "a" } }],
      ["partial", 2, { data: { delta: "b" } }],
      ["data", 3, { data: { text: "ab" } }],
      ["end", 4, { control: { final: true, total_count: 1 } }],
    ]);
  });

  test("answers with its headers before the handler has anything", async () => {
    const asked = performance.now();
    const client = await open(server.url, stream("Idle", { ms: 60_000 }));
    expect(performance.now() - asked).toBeLessThan(10_000);
    expect(client.id).toMatch(UUID);
    expect(client.frames).toEqual([]);
  });

  test("that never waits costs others nothing: it takes turns with them", async () => {
    const client = await open(server.url, stream("Count", { n: 100_000 }));
    let answered = 0;
    while (client.ended === undefined) {
      const echo = await post("/rpc", { id: "e", method: "rpc.v2/EchoService/Echo" });
      expect(echo.status).toBe(200);
      answered++;
    }
    expect(answered).toBeGreaterThan(1);
    expect(client.frames.length).toBe(100_001);
    expect(client.sequences).toEqual(Array.from({ length: 100_001 }, (_, at) => at + 1));
  });
});

describe("what is refused before a stream is no stream (V25)", () => {
  const I = "550e8400-e29b-41d4-a716-446655440000";
  const count = { id: I, method: "rpc.v2/StreamService/Count", data: { n: 2 } };
  test.each([
    ["a body in no known format", "/rpc/stream", count, { "content-type": "text/xml" }, 400, 1003],
    ["no version in common", "/rpc/stream", { ...count, supported_versions: ["3.0"] }, {}, 400, 1001],
    ["an unknown service", "/rpc/stream", { ...count, method: "rpc.v2/NopeService/Run" }, {}, 404, 4002],
    ["an unknown handler", "/rpc/stream", { ...count, method: "rpc.v2/StreamService/Run" }, {}, 404, 4001],
    ["bad params", "/rpc/stream", { ...count, data: { n: -1 } }, {}, 400, 2001],
    ["no JSON", "/rpc/stream", "{", {}, 400, 1003],
    ["an Accept that admits no frames", "/rpc/stream", count, { accept: "application/msgpack" }, 400, 1003],
    ["frames excluded by name", "/rpc/stream", count, { accept: "*/*, text/event-stream;q=0" }, 400, 1003],
    [
      "an envelope that takes no JSON",
      "/rpc/stream",
      { ...count, metadata: { timestamp_ms: 1, accept: ["application/msgpack"] } },
      {},
      400,
      1003,
    ],
    ["an unknown shape", "/rpc/stream", count, { "x-aduib-stream-shape": "x" }, 400, 2003],
    ["a resumption of no time", "/rpc/stream", count, { "x-aduib-resume": "0" }, 400, 2003],
    ["a resumption of too long a time", "/rpc/stream", count, { "x-aduib-resume": "301" }, 400, 2003],
    ["a stream of requests", "/AduibRpcService/CallClientStream", count, {}, 501, 5001],
    ["streams both ways", "/AduibRpcService/CallBidirectional", "anything", {}, 501, 5001],
    ["a streaming method called for one answer", "/rpc", count, {}, 400, 2000],
  ])("%s", async (_name, path, body, headers, status, code) => {
    const answer = await post(path, body, headers as Record<string, string>);
    expect(answer.headers.get("content-type")).toStartWith("application/json");
    const told = (await answer.json()) as { status: string; error: { code: number } };
    expect([answer.status, told.status, told.error.code]).toEqual([status, "error", code]);
  });

  test.each([
    "text/event-stream",
    "text/event-stream, application/json;q=0.5",
    "text/*",
    "*/*;q=0.1",
    "application/json",
    "application/*",
    "application/msgpack;q=0.9, text/event-stream;q=0.1",
  ])("Accept: %s lets frames through", async (accept) => {
    const client = await open(server.url, stream("Count", { n: 1 }), { accept });
    await client.over();
    expect(client.types).toEqual(["data", "end"]);
  });

  test("a refusal has the form that its client reads", async () => {
    const body = { ...count, method: "rpc.v2/NopeService/Run" };
    const answer = await post("/rpc/stream", body, { accept: "text/event-stream, application/msgpack" });
    expect([answer.status, answer.headers.get("content-type")]).toEqual([404, "application/msgpack"]);
  });

  test("a field that is wrong is named", async () => {
    const answer = await post("/rpc/stream", count, { "x-aduib-stream-shape": "x" });
    expect(await answer.json()).toMatchObject({
      id: I,
      error: {
        details: [{ type: "aduib.rpc/InvalidField", field: "header.x-aduib-stream-shape" }],
      },
    });
    const inside = { timestamp_ms: 1, headers: { "X-Aduib-Stream-Shape": "y" } };
    const other = await post("/rpc/stream", { ...count, metadata: inside });
    expect(await other.json()).toMatchObject({
      error: { code: 2003, details: [{ field: "metadata.headers.x-aduib-stream-shape" }] },
    });
  });
});

describe("the shape that released clients read (V41)", () => {
  const shaped = { "x-aduib-stream-shape": "response" };

  test("is one Response an item; the end is the end of the body", async () => {
    const client = await open(server.url, stream("Count", { n: 2 }), shaped);
    await client.over();
    expect(client.response.headers.get("x-aduib-stream-shape")).toBe("response");
    expect(client.text.match(/^data: /gm)?.length).toBe(2);
    expect(client.frames.map(({ id }) => id)).toEqual(["1", "2"]);
    for (const [index, { data }] of client.frames.entries())
      expect(data).toEqual({
        aduib_rpc: "2.0",
        id: "request-1",
        status: "success",
        result: { index },
        negotiated_version: "2.0",
        trace_context: { trace_id: expect.any(String), span_id: expect.any(String), sampled: true },
        metadata: {
          timestamp_ms: expect.any(Number),
          duration_ms: expect.any(Number),
          server_id: expect.any(String),
          server_version: expect.any(String),
          headers: { "content-type": "application/json" },
        },
      });
    expect(client.ended).toBe("whole");
  });

  test("says a failure in one last Response", async () => {
    const client = await open(server.url, stream("Count", { n: 5, fail_at: 1 }), shaped);
    await client.over();
    expect(client.frames.map(({ data }) => [data.status, data.error?.code, "result" in data])).toEqual([
      ["success", undefined, true],
      ["error", 5000, false],
    ]);
  });

  test("leaves fragments out, and says of each item which frame it stands for", async () => {
    const client = await open(server.url, stream("Tokens", { words: ["ab", "cd"] }), shaped);
    await client.over();
    expect(client.frames.map(({ id, data }) => [id, data.result])).toEqual([
      ["3", { text: "ab" }],
      ["6", { text: "cd" }],
    ]);
  });

  test("can be asked for in the envelope, before what the document says", async () => {
    const metadata = { timestamp_ms: 1, headers: { "X-Aduib-Stream-Shape": "message" } };
    const one = await served({ stream: { shape: { rest: "response" } } });
    const [standard, asked] = [
      await open(one.url, stream("Count", { n: 1 })),
      await open(one.url, stream("Count", { n: 1 }, { metadata })),
    ];
    await Promise.all([standard.over(), asked.over()]);
    expect([standard.frames[0]?.data.status, asked.types]).toEqual(["success", ["data", "end"]]);
  });

  test("shows that it lives in comments, and is cancelled as the other", async () => {
    const one = await served({ stream: { heartbeat_interval_ms: 100 } });
    const client = await open(one.url, stream("Idle", { ms: 60_000 }), shaped);
    await until("two comments", () => client.comments.length >= 2);
    expect(client.comments.slice(0, 2)).toEqual([": hb-1", ": hb-2"]);
    const answer = await one.post("/v2/rpc/stream/control", {
      stream_id: client.id,
      message: { type: "cancel" },
    });
    expect(answer.status).toBe(200);
    await client.over();
    expect([client.ended, client.frames]).toEqual(["whole", []]);
  });
});

describe("silence", () => {
  test("is filled with heartbeats, numbered as every frame (V26)", async () => {
    const one = await served({ stream: { heartbeat_interval_ms: 200 } });
    const client = await open(one.url, stream("Idle", { ms: 700 }));
    await client.over();
    const before = client.types.indexOf("data");
    expect(before).toBeGreaterThanOrEqual(2);
    const pings = client.frames.slice(0, before).map(({ data }) => data.payload.control.ping_id);
    expect(pings).toEqual(pings.map((_, at) => `hb-${at + 1}`));
    expect(client.sequences).toEqual(client.sequences.map((_, at) => at + 1));
    expect(client.last.payload.control.total_count).toBe(1);
  });

  test("stays silence where heartbeats are off, or frames come in time", async () => {
    const one = await served({ stream: { heartbeat_interval_ms: 0 } });
    const quiet = await open(one.url, stream("Idle", { ms: 400 }));
    await quiet.over();
    expect(quiet.types).toEqual(["data", "end"]);
    one.change({ stream: { heartbeat_interval_ms: 2_000 } });
    const busy = await open(one.url, stream("Count", { n: 25, delay_ms: 100 }));
    await busy.over();
    expect(busy.types).not.toContain("heartbeat");
  });
});

describe("a stream that its client does not want any more", () => {
  const slow = stream("Count", { n: 1_000, delay_ms: 50 });

  test("is cancelled by a request about it, says so and ends (V27)", async () => {
    const { aborts } = await state();
    const client = await open(server.url, slow);
    await client.has(1);
    const body = {
      stream_id: client.id,
      message: { type: "cancel", payload: { control: { reason: "user" } } },
    };
    const answer = await post("/rpc/stream/control", body);
    const told = (await answer.json()) as { id: string; result: Record<string, unknown> };
    await client.over();
    const data = client.items.length;
    expect([answer.status, told]).toMatchObject([
      200,
      {
        id: "request-1",
        status: "success",
        result: {
          stream_id: client.id,
          state: "cancelled",
          accepted: true,
          last_sequence: data + 2,
          acked_sequence: 0,
        },
      },
    ]);
    expect(client.frames.slice(-2).map(({ data: { type, payload } }) => [type, payload])).toEqual([
      ["cancel", { control: { reason: "user" } }],
      ["end", { control: { final: true, total_count: data, reason: "cancelled" } }],
    ]);
    expect(client.ended).toBe("whole");
    await until("the handler to hear", async () => (await state()).aborts === aborts + 1);
    const again = await post("/rpc/stream/control", body);
    expect([again.status, await again.json()]).toMatchObject([
      200,
      { result: { accepted: false, state: "cancelled", last_sequence: data + 2 } },
    ]);
    const unknown = await post("/rpc/stream/control", { ...body, stream_id: crypto.randomUUID() });
    expect([unknown.status, await unknown.json()]).toMatchObject([
      404,
      { error: { code: 4000, details: [{ type: "aduib.rpc/stream", field: "stream_id" }] } },
    ]);
  });

  test("ends when the client leaves: the handler hears within a second, and nothing is held for it (V28)", async () => {
    const { aborts } = await state();
    const client = await open(server.url, slow);
    await client.has(3);
    const left = performance.now();
    client.leave();
    await until("the handler to hear", async () => (await state()).aborts === aborts + 1, 5_000);
    expect(performance.now() - left).toBeLessThan(1_000);
    expect((await state()).running).toBe(0);
    expect(await figures()).toContain('rpc_streams_active{service="StreamService"} 0');
  });

  test("a client that leaves while the handler has nothing yet", async () => {
    const { aborts } = await state();
    const client = await open(server.url, stream("Idle", { ms: 60_000 }));
    await until("it to run", async () => (await state()).running === 1);
    client.leave();
    await until("the handler to hear", async () => (await state()).aborts === aborts + 1);
  });

  test("is no fault of its service, and no line above info", async () => {
    const one = await room({ document: { resilience: { circuit_breaker: { failure_threshold: 1 } } } });
    const [left, cancelled] = [await open(one.url, slow), await open(one.url, slow)];
    await Promise.all([left.has(1), cancelled.has(1)]);
    left.leave();
    await one.control({ stream_id: cancelled.id, message: { type: "cancel" } });
    await until("both", () => one.heard.length >= 4);
    expect(one.heard.toSorted()).toEqual([
      "cancelled stream by cancel",
      "cancelled stream by disconnect",
      "ended rpc.v2/StreamService/Count error 200",
      "ended rpc.v2/StreamService/Count error 200",
      "ended rpc.v2/stream/control success 200",
    ]);
    expect([...one.guards.bulkheads()].map(({ active }) => active)).toEqual([0]);
    expect(one.lines.filter((line) => JSON.parse(line).level > 30)).toEqual([]);
    const next = await open(one.url, stream("Count", { n: 1 }));
    await next.over();
    expect(next.types).toEqual(["data", "end"]);
  });
});

describe("the deadline of a stream", () => {
  test("is the whole stream's, and is told", async () => {
    const { aborts } = await state();
    const client = await open(
      server.url,
      stream("Count", { n: 1_000, delay_ms: 50 }, { qos: { timeout_ms: 300 } }),
    );
    await client.over();
    expect(client.types.slice(-2)).toEqual(["error", "end"]);
    expect(client.frames.at(-2)?.data.payload.error).toMatchObject({ code: 5003, name: "TIMEOUT" });
    expect(client.last.payload.control).toEqual({
      final: true,
      total_count: client.items.length,
      reason: "error",
    });
    expect((await state()).aborts).toBe(aborts + 1);
  });

  test("is none where its client named none", async () => {
    const one = await served({ qos: { default_timeout_ms: 100 } });
    const client = await open(one.url, stream("Idle", { ms: 500 }));
    await client.over();
    expect(client.types).toEqual(["data", "end"]);
  });
});

describe("acknowledgements", () => {
  const ack = (one: Served, client: RpcStreamClient, sequence: number) =>
    one.post("/v2/rpc/stream/control", {
      stream_id: client.id,
      message: { type: "ack", payload: { control: { ack_sequence: sequence } } },
    });

  test("let a stream be as far ahead as the window, whatever else goes out (V43)", async () => {
    const one = await served({ stream: { ack_window: 2, heartbeat_interval_ms: 100 } });
    const client = await open(one.url, stream("Count", { n: 6 }));
    const beats = () => client.types.filter((type) => type === "heartbeat").length;
    await until("heartbeats", () => beats() >= 3);
    expect(client.items).toEqual([{ index: 0 }, { index: 1 }]);
    const answer = await ack(one, client, 2);
    expect(answer.body).toMatchObject({
      result: { stream_id: client.id, state: "active", accepted: true, acked_sequence: 2 },
    });
    const before = beats();
    await until("further heartbeats", () => beats() >= before + 3);
    expect(client.items.length).toBe(4);
    const wrong = await ack(one, client, 99_999);
    expect([wrong.status, wrong.body]).toMatchObject([
      400,
      { error: { code: 2003, details: [{ field: "message.payload.control.ack_sequence" }] } },
    ]);
    // Less than before changes nothing.
    const less = await ack(one, client, 1);
    expect(less.body).toMatchObject({ result: { accepted: true, acked_sequence: 2 } });
    await until("the end", async () => {
      if (client.ended === undefined) await ack(one, client, client.sequences.at(-1) ?? 0);
      return client.ended;
    });
    expect(client.last.payload.control).toEqual({ final: true, total_count: 6 });
  });

  test("that never come end the stream, and do not count against its service", async () => {
    const document = {
      stream: { ack_window: 1, max_idle_ack_ms: 300 },
      resilience: { circuit_breaker: { failure_threshold: 1 } },
    };
    const one = await room({ document });
    const client = await open(one.url, stream("Count", { n: 6 }));
    await client.over();
    expect(client.types).toEqual(["data", "error", "end"]);
    expect(client.frames[1]?.data.payload.error.code).toBe(5003);
    expect([...one.guards.bulkheads()].map(({ active }) => active)).toEqual([0]);
    const next = await open(one.url, stream("Count", { n: 0 }));
    await next.over();
    expect(next.types).toEqual(["end"]);
  });

  test("are recorded where there is no window", async () => {
    const client = await open(server.url, stream("Count", { n: 1_000, delay_ms: 20 }));
    await client.has(2);
    const body = {
      stream_id: client.id,
      message: { type: "ack", payload: { control: { ack_sequence: 2 } } },
    };
    const answer = await post("/rpc/stream/control", body);
    expect(await answer.json()).toMatchObject({ result: { accepted: true, acked_sequence: 2 } });
    expect(await figures()).toMatch(/rpc_stream_frames_total\{type="ack"\} 1/);
  });
});

describe("a request about a stream that says nothing clear", () => {
  const cancel = { message: { type: "cancel" } };
  test.each([
    ["no object", [], 1002, undefined],
    ["no stream", cancel, 1002, "stream_id"],
    ["no message", { stream_id: "x" }, 1002, "message"],
    ["a message of no type", { stream_id: "x", message: {} }, 1002, "message.type"],
    ["another type", { stream_id: "x", message: { type: "data" } }, 2003, "message.type"],
    [
      "an ack of nothing",
      { stream_id: "x", message: { type: "ack" } },
      1002,
      "message.payload.control.ack_sequence",
    ],
    [
      "an ack of no number",
      { stream_id: "x", message: { type: "ack", payload: { control: { ack_sequence: "2" } } } },
      1002,
      "message.payload.control.ack_sequence",
    ],
    [
      "a reason of no text",
      { stream_id: "x", message: { type: "cancel", payload: { control: { reason: 5 } } } },
      1002,
      "message.payload.control.reason",
    ],
    ["an id that is no text", { stream_id: 5, ...cancel }, 1002, "stream_id"],
    [
      "a tenant that is none",
      { stream_id: "x", ...cancel, metadata: { tenant_id: "a b" } },
      2003,
      "metadata.tenant_id",
    ],
  ])("%s", async (_name, body, code, field) => {
    const answer = await post("/rpc/stream/control", body);
    const told = (await answer.json()) as { error: { code: number; details: { field?: string }[] } };
    expect([answer.status, told.error.code, told.error.details[0]?.field]).toEqual([400, code, field]);
  });

  test("by the id of its request finds nothing for who proved nothing", async () => {
    const client = await open(server.url, stream("Count", { n: 1_000, delay_ms: 50 }, { id: "mine" }));
    const answer = await post("/rpc/stream/control", { id: "mine", ...cancel });
    expect([answer.status, await answer.json()]).toMatchObject([404, { id: "mine", error: { code: 4000 } }]);
    expect(client.ended).toBeUndefined();
  });
});

test("whose stream it is decides: another tenant or principal finds none, its owner finds it by its request too", async () => {
  const sha = (key: string) => new Bun.CryptoHasher("sha256").update(key).digest("hex");
  const document = {
    security: {
      api_keys: [
        { sha256: sha("key-a"), principal: "a" },
        { sha256: sha("key-b"), principal: "b" },
      ],
    },
  };
  const one = await room({ document });
  const slow = stream("Count", { n: 1_000, delay_ms: 50 });
  const a = { "x-api-key": "key-a" };
  const client = await open(one.url, slow, { ...a, "x-tenant-id": "acme" });
  const cancel = { stream_id: client.id, message: { type: "cancel" } };
  const others: Record<string, string>[] = [
    {},
    { "x-tenant-id": "acme" },
    { ...a, "x-tenant-id": "other" },
    { "x-api-key": "key-b", "x-tenant-id": "acme" },
  ];
  for (const headers of others) expect((await one.control(cancel, headers)).status).toBe(404);
  const twin = await open(one.url, slow, { ...a, "x-tenant-id": "acme" });
  const byRequest = { id: "request-1", message: { type: "cancel" } };
  const mine = { metadata: { auth: { scheme: "api_key", credentials: "key-a" }, tenant_id: "acme" } };
  // Two streams have it.
  expect((await one.control({ ...byRequest, ...mine })).status).toBe(404);
  expect((await one.control({ ...cancel, id: "another", ...mine })).status).toBe(404);
  expect(await (await one.control({ ...cancel, ...mine })).json()).toMatchObject({
    result: { accepted: true, state: "cancelled" },
  });
  expect(await (await one.control({ ...byRequest, ...mine })).json()).toMatchObject({
    result: { accepted: true, stream_id: twin.id },
  });
  expect((await one.control({ ...cancel }, { "x-api-key": "no such key" })).status).toBe(401);
});

test("a server that stops says so in every stream", async () => {
  const one = await rpcRoom();
  const clients = await Promise.all([
    open(one.url, stream("Count", { n: 1_000, delay_ms: 20 })),
    open(one.url, stream("Idle", { ms: 60_000 })),
  ]);
  await clients[0]?.has(1);
  await until("both", () => one.streams.list.size === 2);
  await one.stop();
  for (const client of clients) {
    await client.over();
    expect(client.ended).toBe("whole");
    expect(client.types.slice(-2)).toEqual(["error", "end"]);
    expect(client.frames.at(-2)?.data.payload.error.code).toBe(5002);
  }
  expect([one.streams.list.size, [...one.guards.bulkheads()].map(({ active }) => active)]).toEqual([0, [0]]);
});

test("as many streams are open as may be", async () => {
  const one = await room({ maxStreams: 2 });
  const body = stream("Idle", { ms: 60_000 });
  const [first] = [await open(one.url, body), await open(one.url, body)];
  await expect(open(one.url, body)).rejects.toThrow('"code":5021');
  expect(one.limits.bounds.count("rpc-streams")).toBe(1);
  expect([...one.guards.bulkheads()].map(({ active }) => active)).toEqual([2]);
  first?.leave();
  await until("room", () => one.streams.list.size === 1);
  await open(one.url, body);
});

describe("a client that does not read", () => {
  const large = {
    service: "LargeService",
    handler: "Run",
    source: "builtin",
    streamingOutput: true,
  } as const;
  const request = (body: object) => {
    const text = JSON.stringify(body);
    return (
      "POST /aduib_rpc/v2/rpc/stream HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" +
      `Content-Length: ${text.length}\r\n\r\n${text}`
    );
  };

  test("is not worked for: its handler stands still until it reads, and then it gets everything", async () => {
    let given = 0;
    const total = 200;
    const one = await room({
      methods: [
        {
          ...large,
          run: async function* () {
            while (given < total) yield { at: given++, text: "x".repeat(100_000) };
          },
        },
      ],
    });
    const connection = await RawConnection.open(one.port);
    cleanup.push(() => connection.destroy());
    connection.write(request({ id: "1", method: "rpc.v2/LargeService/Run" }));
    await connection.until((received) => received.includes('"at":0'), 10_000);
    connection.stopReading();
    let before = -1;
    await until("the handler to stand still", async () => {
      const now = given;
      await Bun.sleep(200);
      const isStill = now === given && now === before;
      before = now;
      return isStill;
    });
    expect(given).toBeLessThan(total);
    expect(one.limits.queues.held()).toBeLessThan(1024 * 1024);
    connection.resumeReading();
    await connection.until((received) => received.includes('"type":"end"'), 20_000);
    expect(given).toBe(total);
    expect(connection.received).toContain(`"total_count":${total}`);
  });

  test("is closed when memory is needed, and its handler hears", async () => {
    let aborts = 0;
    const one = await room({
      maxMemoryBytes: 8 * 1024 * 1024,
      methods: [
        {
          ...large,
          run: async function* (_data, { signal }) {
            signal.addEventListener("abort", () => aborts++);
            for (;;) yield { text: "x".repeat(12 * 1024 * 1024) };
          },
        },
      ],
    });
    const connection = await RawConnection.open(one.port);
    cleanup.push(() => connection.destroy());
    connection.write(request({ id: "1", method: "rpc.v2/LargeService/Run" }));
    await connection.until((received) => received.includes("200 OK"), 10_000);
    connection.stopReading();
    await until("the handler to hear", () => aborts === 1);
    expect([one.streams.list.size, one.limits.queues.held()]).toEqual([0, 0]);
    expect([...one.guards.bulkheads()].map(({ active }) => active)).toEqual([0]);
    expect(one.heard).toContain("cancelled stream by disconnect");
  });
});

describe("a stream that survives a lost connection", () => {
  const many = (more: object = {}) => stream("Count", { n: 40, delay_ms: 20 }, more);
  const resume = { "x-aduib-resume": "30" };
  const goOn = (one: RpcRoom, id: string, after: number, headers: Record<string, string> = {}) =>
    open(one.url, undefined, { "x-aduib-stream-id": id, "last-event-id": String(after), ...headers });
  const refusal = async (work: Promise<unknown>) =>
    String(
      await work.then(
        () => "none",
        (error) => error,
      ),
    )
      .replace(/^Error: /, "")
      .slice(0, 3);

  test("goes on at the frame after the last that its client has; the handler never knew", async () => {
    const one = await room();
    const first = await open(one.url, many(), resume);
    expect(first.response.headers.get("x-aduib-resume")).toBe("30");
    await first.has(5);
    first.leave();
    await until("the way back to be open", () => first.ended);
    const had = first.sequences.at(-1) ?? 0;
    const second = await goOn(one, first.id, had);
    expect(second.response.headers.get("content-type")).toBe("text/event-stream; charset=utf-8");
    expect(second.id).toBe(first.id);
    await second.over();
    const all = [...first.sequences, ...second.sequences];
    expect(all).toEqual(Array.from({ length: 41 }, (_, at) => at + 1));
    expect([...first.items, ...second.items]).toEqual(Array.from({ length: 40 }, (_, index) => ({ index })));
    expect(second.frames.map(({ id }) => id)).toEqual(second.sequences.map(String));
    expect(second.last.payload.control).toEqual({ final: true, total_count: 40 });
    expect(one.heard.filter((line) => line.startsWith("cancelled"))).toEqual([]);
    // The end may have got lost as well.
    const third = await goOn(one, first.id, 40);
    await third.over();
    expect(third.types).toEqual(["end"]);
    const fourth = await goOn(one, first.id, 41);
    await fourth.over();
    expect(fourth.text).toBe("");
  });

  test("ends while its client is away, and is told whole", async () => {
    const one = await room();
    const first = await open(one.url, stream("Count", { n: 5, delay_ms: 10 }), resume);
    await first.has(1);
    first.leave();
    await until("its end", () => one.streams.list.size === 0);
    const second = await goOn(one, first.id, 0);
    await second.over();
    expect([second.items.length, second.types.at(-1)]).toEqual([5, "end"]);
  });

  test("has one reader: the older is closed when another comes", async () => {
    const one = await room();
    const first = await open(one.url, many(), resume);
    await first.has(3);
    const second = await goOn(one, first.id, 1);
    await first.over();
    expect([first.ended, first.types.includes("end")]).toEqual(["whole", false]);
    await second.over();
    expect(second.sequences).toEqual(Array.from({ length: 40 }, (_, at) => at + 2));
  });

  test("is its owner's alone, and refuses what it cannot go on with", async () => {
    const one = await room({ document: { stream: { resume_frames: 3 } } });
    const first = await open(one.url, many(), resume);
    await first.has(10);
    expect(await refusal(goOn(one, first.id, 9, { "x-tenant-id": "other" }))).toBe("404");
    expect(await refusal(goOn(one, crypto.randomUUID(), 0))).toBe("404");
    expect(await refusal(goOn(one, first.id, 1))).toBe("410");
    expect(await refusal(goOn(one, first.id, 4_000))).toBe("400");
    expect(
      await refusal(open(one.url, undefined, { "x-aduib-stream-id": first.id, "last-event-id": "x" })),
    ).toBe("400");
    expect(await refusal(open(one.url, many(), { "x-aduib-stream-id": first.id }))).toBe("400");
    const other = await open(one.url, many());
    expect(await refusal(goOn(one, other.id, 0))).toBe("404");
    // Nothing of that disturbed it.
    await first.over();
    expect(first.sequences).toEqual(Array.from({ length: 41 }, (_, at) => at + 1));
  });

  test("is not worked for when enough waits, and cancelled when its client stays away", async () => {
    let given = 0;
    let aborts = 0;
    const one = await room({
      document: { stream: { resume_frames: 10 } },
      methods: [
        {
          service: "FastService",
          handler: "Run",
          source: "builtin",
          streamingOutput: true,
          run: async function* (_data, { signal }) {
            signal.addEventListener("abort", () => aborts++);
            for (;;) {
              await Bun.sleep(1);
              yield given++;
            }
          },
        },
      ],
    });
    const first = await open(
      one.url,
      { id: "1", method: "rpc.v2/FastService/Run" },
      { "x-aduib-resume": "1" },
    );
    await first.has(1);
    first.leave();
    await until("the handler to stand still", async () => {
      const before = given;
      await Bun.sleep(100);
      return before === given;
    });
    expect([aborts, one.streams.list.size]).toEqual([0, 1]);
    await until("the handler to hear", () => aborts === 1, 10_000);
    expect([one.streams.list.size, one.streams.resumable, one.limits.queues.held()]).toEqual([0, 0, 0]);
    expect(one.heard).toContain("cancelled stream by disconnect");
    expect(await refusal(goOn(one, first.id, 0))).toBe("404");
  });

  test("can be cancelled while its client is away", async () => {
    const one = await room();
    const first = await open(one.url, many(), resume);
    await first.has(2);
    first.leave();
    await until("it to be gone", () => first.ended);
    const cancel = {
      stream_id: first.id,
      message: { type: "cancel", payload: { control: { reason: "r" } } },
    };
    expect(await (await one.control(cancel)).json()).toMatchObject({ result: { accepted: true } });
    const second = await goOn(one, first.id, first.sequences.at(-1) ?? 0);
    await second.over();
    expect(second.types.slice(-2)).toEqual(["cancel", "end"]);
  });

  test("goes in the other shape too", async () => {
    const one = await room();
    const shaped = { ...resume, "x-aduib-stream-shape": "response" };
    const words = { words: Array.from({ length: 20 }, (_, at) => `word${at}`) };
    const first = await open(one.url, stream("Tokens", words), shaped);
    await first.over();
    const second = await goOn(one, first.id, Number(first.frames[9]?.id));
    await second.over();
    expect(second.frames.map(({ data }) => data.result.text)).toEqual(words.words.slice(10));
  });
});

describe("in a cluster", () => {
  const SLOW = stream("Count", { n: 1_000, delay_ms: 20 });
  async function two(): Promise<[RpcRoom, RpcRoom]> {
    const exchange = new MemoryExchange();
    const log = createLog("silent");
    return [await room({ bus: exchange.join(log) }), await room({ bus: exchange.join(log) })];
  }

  test("a stream is cancelled and acknowledged through any node", async () => {
    const [a, b] = await two();
    const client = await open(a.url, SLOW);
    await client.has(3);
    const ack = { type: "ack", payload: { control: { ack_sequence: 2 } } };
    const acked = await b.control({ stream_id: client.id, message: ack });
    expect([acked.status, await acked.json()]).toMatchObject([
      200,
      { id: "", status: "success", result: { stream_id: client.id, state: "unknown", accepted: true } },
    ]);
    const [live] = [...a.streams.list];
    await until("the acknowledgement", () => live?.window.acked === 2);
    const message = { type: "cancel", payload: { control: { reason: "elsewhere" } } };
    expect((await b.control({ stream_id: client.id, message })).status).toBe(200);
    await client.over();
    expect(client.frames.at(-2)?.data.payload.control).toEqual({ reason: "elsewhere" });
  });

  test("the node that has it looks whose it is, and what is no stream goes nowhere", async () => {
    const [a, b] = await two();
    const client = await open(a.url, SLOW);
    await client.has(1);
    const cancel = { message: { type: "cancel" } };
    expect((await b.control({ stream_id: client.id, ...cancel }, { "x-tenant-id": "other" })).status).toBe(
      200,
    );
    expect((await b.control({ stream_id: "no stream", ...cancel })).status).toBe(404);
    expect((await b.control({ id: "request-1", ...cancel })).status).toBe(404);
    const tooFar = { type: "ack", payload: { control: { ack_sequence: 99_999 } } };
    await b.control({ stream_id: client.id, message: tooFar });
    await client.has(client.frames.length + 5);
    expect([client.ended, [...a.streams.list][0]?.window.acked]).toEqual([undefined, 0]);
  });

  test("other nodes that cannot be asked are said to be away", async () => {
    const exchange = new MemoryExchange();
    const bus = exchange.join(createLog("silent"));
    const one = await room({ bus });
    await bus.close();
    const answer = await one.control({ stream_id: crypto.randomUUID(), message: { type: "cancel" } });
    expect([answer.status, await answer.json()]).toMatchObject([503, { error: { code: 5002 } }]);
  });
});

describe("on the paths without an envelope", () => {
  const watch = "/aduib_rpc/v2/HealthService/Watch";
  const cancel = (client: RpcStreamClient) => ({ stream_id: client.id, message: { type: "cancel" } });
  async function watching(url: string, headers: Record<string, string> = {}, body: object = {}) {
    const client = await RpcStreamClient.open(url, { service: "EchoService", ...body }, headers, watch);
    cleanup.push(() => client.leave());
    return client;
  }
  const health = { status: "healthy", services: { EchoService: "healthy" } };

  test("a stream is the same: frames or bare items, cancelled by its id", async () => {
    const one = await served({ stream: { heartbeat_interval_ms: 100 } });
    const frames = await watching(one.url);
    await frames.has(2);
    expect(frames.items).toEqual([health]);
    expect(frames.types[1]).toBe("heartbeat");
    const items = await watching(one.url, { "x-aduib-stream-shape": "response" });
    await items.has(1);
    expect(items.frames[0]?.data).toEqual(health);
    for (const client of [frames, items])
      expect(await one.post("/v2/rpc/stream/control", cancel(client))).toMatchObject({
        status: 200,
        body: { result: { accepted: true, state: "cancelled" } },
      });
    await Promise.all([frames.over(), items.over()]);
    expect(frames.types.slice(-2)).toEqual(["cancel", "end"]);
    expect(items.ended).toBe("whole");
  });

  test("an envelope is answered in envelopes", async () => {
    const one = await served();
    const envelope = { aduib_rpc: "2.0", id: "e1", data: { service: "EchoService" } };
    const client = await watching(one.url, { "x-aduib-stream-shape": "response" }, envelope);
    await client.has(1);
    expect(client.frames[0]?.data).toMatchObject({ id: "e1", status: "success", result: health });
  });

  test("a stream survives a lost connection there too", async () => {
    const one = await served();
    const first = await watching(one.url, { "x-aduib-resume": "30" });
    await first.has(1);
    first.leave();
    await until("it to be gone", () => first.ended);
    await one.call("SystemService/Drain", { service: "EchoService" });
    const second = await open(one.url, undefined, { "x-aduib-stream-id": first.id, "last-event-id": "1" });
    await second.has(1);
    expect(second.items).toEqual([{ status: "unhealthy", services: { EchoService: "unhealthy" } }]);
  });

  test("what everybody may watch, everybody may end and go on with; nothing else without proof", async () => {
    const one = await served(SECURED);
    const control = (body: object, headers: Record<string, string> = {}) =>
      one.post("/v2/rpc/stream/control", body, headers);
    const client = await watching(one.url, { "x-aduib-resume": "30" });
    const proved = await open(one.url, stream("Idle", { ms: 60_000 }), { "x-api-key": KEY });
    await client.has(1);
    for (const body of [cancel(proved), { stream_id: crypto.randomUUID(), message: { type: "cancel" } }])
      expect(await control(body)).toMatchObject({ status: 401, body: { error: { code: 3000 } } });
    expect((await control(cancel(client), { "x-tenant-id": "other" })).status).toBe(404);
    expect((await control(cancel(client), { "x-api-key": KEY })).status).toBe(404);
    expect((await control(cancel(client), { "x-api-key": "wrong" })).status).toBe(401);
    client.leave();
    const again = await open(one.url, undefined, { "x-aduib-stream-id": client.id, "last-event-id": "0" });
    await again.has(1);
    expect(await control(cancel(again))).toMatchObject({ status: 200, body: { result: { accepted: true } } });
    await again.over();
    expect(again.types).toEqual(["data", "cancel", "end"]);
    // Also once it is over.
    expect(await control(cancel(again))).toMatchObject({
      status: 200,
      body: { result: { accepted: false } },
    });
    expect(proved.ended).toBeUndefined();
  });
});

test("what its client ended is no error of its method", async () => {
  const one = await served();
  const client = await open(one.url, stream("Idle", { ms: 60_000 }));
  const left = await open(one.url, stream("Idle", { ms: 60_000 }));
  await one.post("/v2/rpc/stream/control", { stream_id: client.id, message: { type: "cancel" } });
  left.leave();
  const figures = async () => {
    const { methods } = (await one.call("SystemService/Stats")).body.result;
    return methods.find(({ method }: { method: string }) => method === "rpc.v2/StreamService/Idle");
  };
  await until("both", async () => (await figures())?.calls === 2);
  expect(await figures()).toMatchObject({ calls: 2, errors: 0 });
});
