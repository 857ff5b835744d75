// Streams of calls as a client of the whole server sees them, over real sockets: the vectors of the contract (V23 to V26, V41, V42), what is
// no stream, both shapes, silence, and paths without an envelope. How they are steered, and what a lost connection means, are files beside.
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { stream } from "./support/rpc-room.ts";
import { KEY, SECURED, served } from "./support/rpc-server.ts";
import type { RpcStreamClient } from "./support/rpc-stream-client.ts";
import { rpcStreams } from "./support/rpc-streams.ts";
import { until } from "./support/until.ts";

// A busy machine is slow, not wrong.
setDefaultTimeout(30_000);

const { url, post, open } = rpcStreams();

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

describe("a stream", () => {
  test("is its frames in order, then the body ends (V23)", async () => {
    const client = await open(url(), stream("Count", { n: 2 }));
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
    const client = await open(
      url(),
      stream("Count", { n: 1 }),
      {},
      "/aduib_rpc/v2/AduibRpcService/CallServerStream",
    );
    await client.over();
    expect(client.types).toEqual(["data", "end"]);
  });

  test("tells a failure in a frame, then ends (V24)", async () => {
    const client = await open(url(), stream("Count", { n: 5, fail_at: 1 }));
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
    const client = await open(url(), stream("Count", { n: 5, fail_at: 0 }));
    await client.over();
    expect(client.types).toEqual(["error", "end"]);
  });

  test("of a method that does not stream is one item", async () => {
    const client = await open(url(), { id: "e", method: "rpc.v2/EchoService/Echo", data: { a: 1 } });
    await client.over();
    expect(client.types).toEqual(["data", "end"]);
    expect(client.items).toEqual([{ a: 1 }]);
    const nothing = await open(url(), { id: "n", method: "rpc.v2/DemoService/Nothing" });
    await nothing.over();
    expect(nothing.items).toEqual([null]);
  });

  test("may give fragments of an item before it, which do not count (V42)", async () => {
    const client = await open(url(), stream("Tokens", { words: ["ab"] }));
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
    const client = await open(url(), stream("Idle", { ms: 60_000 }));
    expect(performance.now() - asked).toBeLessThan(10_000);
    expect(client.id).toMatch(UUID);
    expect(client.frames).toEqual([]);
  });

  test("that never waits costs others nothing: it takes turns with them", async () => {
    const client = await open(url(), stream("Count", { n: 100_000 }));
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
    const client = await open(url(), stream("Count", { n: 1 }), { accept });
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
    const client = await open(url(), stream("Count", { n: 2 }), shaped);
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
    const client = await open(url(), stream("Count", { n: 5, fail_at: 1 }), shaped);
    await client.over();
    expect(client.frames.map(({ data }) => [data.status, data.error?.code, "result" in data])).toEqual([
      ["success", undefined, true],
      ["error", 5000, false],
    ]);
  });

  test("leaves fragments out, and says of each item which frame it stands for", async () => {
    const client = await open(url(), stream("Tokens", { words: ["ab", "cd"] }), shaped);
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

describe("on the paths without an envelope", () => {
  const watch = "/aduib_rpc/v2/HealthService/Watch";
  const cancel = (client: RpcStreamClient) => ({ stream_id: client.id, message: { type: "cancel" } });
  const watching = (at: string, headers: Record<string, string> = {}, body: object = {}) =>
    open(at, { service: "EchoService", ...body }, headers, watch);
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
