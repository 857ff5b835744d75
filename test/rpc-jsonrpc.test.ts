// JSON-RPC over a whole server: single calls, batches, streams, and paths that are not there.
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { type Json, KEY, SECURED, type Served, served, stopServers } from "./support/rpc-server.ts";
import { RpcStreamClient } from "./support/rpc-stream-client.ts";
import { until } from "./support/until.ts";

// A busy machine is slow, not wrong.
setDefaultTimeout(30_000);
afterAll(stopServers);

let one: Promise<Served> | undefined;
/** With nothing but the defaults; for tests that leave nothing behind. */
const shared = (): Promise<Served> => {
  one ??= served();
  return one;
};

describe("JSON-RPC (V44)", () => {
  const object = (method: string, params?: unknown, more: Record<string, unknown> = {}) => ({
    jsonrpc: "2.0",
    id: "j1",
    method: `rpc.v2/${method}`,
    params,
    ...more,
  });
  const envelope = (method: string, data: unknown = null) => ({
    aduib_rpc: "2.0",
    id: "i1",
    method: `rpc.v2/${method}`,
    data,
  });

  test("an envelope in params is answered by an envelope in the result, with both ids", async () => {
    const { post } = await served();
    const { status, body, headers } = await post(
      "",
      object("EchoService/Echo", envelope("EchoService/Echo", { text: "hi" })),
    );
    expect(status).toBe(200);
    expect(Object.keys(body).sort()).toEqual(["id", "jsonrpc", "result"]);
    expect(body).toMatchObject({
      jsonrpc: "2.0",
      id: "j1",
      result: {
        aduib_rpc: "2.0",
        id: "i1",
        status: "success",
        result: { text: "hi" },
        negotiated_version: "2.0",
      },
    });
    expect(headers.get("content-type")).toBe("application/json; charset=utf-8");
    expect(headers.get("x-aduib-negotiated-version")).toBe("2.0");
    expect(headers.get("traceparent")).toBe(
      `00-${body.result.trace_context.trace_id}-${body.result.trace_context.span_id}-01`,
    );
    // With a slash behind it, too.
    expect((await post("/", object("EchoService/Echo", { a: 1 }, { id: 5 }))).body).toMatchObject({
      id: 5,
      result: { id: "5", result: { a: 1 } },
    });
  });

  test("errors have the code of the room; the RpcError is the data", async () => {
    const { post } = await served();
    const { status, body } = await post("", object("DemoService/FailWith", { code: 3011 }));
    expect(status).toBe(200);
    expect(body).toEqual({
      jsonrpc: "2.0",
      id: "j1",
      error: {
        code: 3011,
        message: "Permission denied",
        data: { code: 3011, name: "PERMISSION_DENIED", message: "Permission denied" },
      },
    });
    const code = async (body: unknown, headers?: Record<string, string>) => {
      const answer = await post("", body, headers);
      expect(answer.status).toBe(200);
      expect(answer.body.error.data).toMatchObject({ code: expect.any(Number), name: expect.any(String) });
      return [answer.body.id, answer.body.error.code];
    };
    expect(await code("{")).toEqual([null, -32_700]);
    expect(await code("")).toEqual([null, -32_700]);
    expect(await code(`{"id":"j1","method":"x","params":${"[".repeat(70)}${"]".repeat(70)}}`)).toEqual([
      null,
      -32_700,
    ]);
    expect(await code('"text"')).toEqual([null, -32_600]);
    expect(await code({ jsonrpc: "2.0", id: "j1" })).toEqual(["j1", -32_600]);
    expect(await code([])).toEqual([null, -32_600]);
    expect(await code(object("EchoService/Echo"), { "content-type": "text/plain" })).toEqual([null, -32_600]);
    expect(await code(object("EchoService/Echo"), { "content-type": "application/msgpack" })).toEqual([
      null,
      -32_600,
    ]);
    expect(await code(object("EchoService/Echo"), { "content-encoding": "br" })).toEqual([null, 1004]);
    expect(await code(object("DemoService/Fail", envelope("EchoService/Echo")))).toEqual(["j1", 1002]);
    expect(await code(object("EchoService/Echo", []))).toEqual(["j1", 2001]);
    expect(await code(object("MathService/Divide", { a: 1 }))).toEqual(["j1", 2001]);
    expect(await code({ ...object(""), method: "EchoService.Echo" })).toEqual(["j1", 1002]);
    expect(await code(object("NopeService/Run"))).toEqual(["j1", 4002]);
    expect(await code(object("AduibRpcService/CallBidirectional"))).toEqual(["j1", 5001]);
    expect(await code(object("AduibRpcService/Call", envelope("StreamService/Count", { n: 1 })))).toEqual([
      "j1",
      2000,
    ]);
    expect(await code(object("EchoService/Echo", { ...envelope("EchoService/Echo"), id: null }))).toEqual([
      "j1",
      1002,
    ]);
  });

  test("a notification is refused and not run", async () => {
    const { post, call } = await served();
    for (const id of [undefined, null])
      expect((await post("", object("CounterService/Increment", { key: "n" }, { id }))).body).toMatchObject({
        id: null,
        error: { code: -32_600 },
      });
    expect((await call("CounterService/Increment", { key: "n" })).body.result).toEqual({ count: 1 });
  });

  test("a batch is run at once and answered in its order; one bad element spoils no other", async () => {
    const { post } = await served();
    const { status, body } = await post("", [
      object("DemoService/Sleep", { ms: 40 }, { id: 1 }),
      object("NopeService/Run", undefined, { id: 2 }),
      5,
      object("EchoService/Echo", { a: 1 }, { id: undefined }),
      [],
      object("StreamService/Count", { n: 1 }, { id: 6 }),
      object("AduibRpcService/CallServerStream", envelope("StreamService/Count", { n: 1 }), { id: 7 }),
      object("DemoService/Fail", undefined, { id: 8 }),
      object("DemoService/Sleep", { ms: 40 }, { id: 9 }),
      object("HealthService/Check", {}, { id: 10 }),
    ]);
    expect(status).toBe(200);
    expect(body.map((one: Json) => [one.id, one.error?.code])).toEqual([
      [1, undefined],
      [2, 4002],
      [null, -32_600],
      [null, -32_600],
      [null, -32_600],
      [6, 2000],
      [7, 2000],
      [8, 5000],
      [9, undefined],
      [10, undefined],
    ]);
    expect(body[0].result.result).toEqual({ slept: 40 });
    expect(body[9].result.status).toBe("healthy");
    const began = performance.now();
    await post(
      "",
      Array.from({ length: 20 }, (_, id) => object("DemoService/Sleep", { ms: 500 }, { id })),
    );
    expect(performance.now() - began).toBeLessThan(9_000);
  });

  test("a batch has at most 50", async () => {
    const { post } = await served();
    const many = (n: number) =>
      Array.from({ length: n }, (_, id) => object("EchoService/Echo", { id }, { id }));
    const { body } = await post("", many(50));
    expect(body.map((one: Json) => one.result.result.id)).toEqual(Array.from({ length: 50 }, (_, id) => id));
    expect((await post("", many(51))).body).toMatchObject({ id: null, error: { code: -32_600 } });
  });

  test("a body above the limit, and one that expands above it, are 2004", async () => {
    const { post } = await served({ protocol: { max_body_bytes: 2_000, max_expanded_bytes: 4_000 } });
    const fill = "x".repeat(5_000);
    expect((await post("", object("EchoService/Echo", { fill }))).body).toMatchObject({
      id: null,
      error: { code: 2004 },
    });
    const { base } = await served({ protocol: { max_body_bytes: 2_000, max_expanded_bytes: 4_000 } });
    const answer = await fetch(base, {
      method: "POST",
      headers: { "content-type": "application/json", "content-encoding": "gzip" },
      body: Bun.gzipSync(Buffer.from(JSON.stringify(object("EchoService/Echo", { fill })))),
    });
    expect(await answer.json()).toMatchObject({ id: null, error: { code: 2004 } });
  });

  test("an answer is JSON whatever is asked for; its compression is what is asked for", async () => {
    const { base, post } = await served();
    const asked = envelope("EchoService/Echo", { text: "hi" });
    const answer = await fetch(base, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        accept: "application/msgpack",
        "accept-encoding": "gzip",
      },
      body: JSON.stringify(object("EchoService/Echo", asked)),
      decompress: false,
    } as RequestInit);
    expect(answer.headers.get("content-encoding")).toBe("gzip");
    expect(
      JSON.parse(Buffer.from(Bun.gunzipSync(Buffer.from(await answer.arrayBuffer()))).toString()),
    ).toMatchObject({
      result: {
        id: "i1",
        metadata: { headers: { "content-type": "application/json", "content-encoding": "gzip" } },
      },
    });
    const wish = { metadata: { timestamp_ms: 1, accept: ["application/msgpack"], compression: "zip" } };
    expect((await post("", object("EchoService/Echo", { ...asked, ...wish }))).body.error.code).toBe(2003);
  });

  test("who must prove itself must do so here too", async () => {
    const { post } = await served(SECURED);
    expect((await post("", object("EchoService/Echo"))).body.error.code).toBe(3000);
    const { body } = await post("", [object("EchoService/Echo"), object("NopeService/Run")], {
      "x-api-key": KEY,
    });
    expect(body.map((one: Json) => one.error?.code)).toEqual([undefined, 4002]);
  });
});

interface Event {
  readonly id: string | undefined;
  readonly data: Json;
}

/** The events of an answer that ends, and its text. */

async function events(base: string, body: unknown, headers: Record<string, string> = {}) {
  const answer = await fetch(base, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify(body),
  });
  const text = await answer.text();
  // An empty line may come first: with it the head of the answer leaves.
  const blocks = text
    .trimStart()
    .split("\n\n")
    .filter((block) => block !== "");
  const list: Event[] = blocks
    .filter((block) => !block.startsWith(":"))
    .map((block) => {
      const [, id, data = "null"] = /^id: (\d+)\ndata: (.*)$/.exec(block) ?? [];
      return { id, data: JSON.parse(data) };
    });
  return { answer, text, events: list };
}

describe("JSON-RPC streams (V45)", () => {
  const object = (method: string, params?: unknown) => ({
    jsonrpc: "2.0",
    id: "j1",
    method: `rpc.v2/${method}`,
    params,
  });

  test("a streaming method is answered by frames in the results", async () => {
    const { base } = await served();
    const { answer, events: list, text } = await events(base, object("StreamService/Count", { n: 2 }));
    expect(answer.status).toBe(200);
    expect(answer.headers.get("content-type")).toBe("text/event-stream; charset=utf-8");
    expect(answer.headers.get("cache-control")).toBe("no-cache");
    expect(answer.headers.get("x-accel-buffering")).toBe("no");
    expect(answer.headers.get("x-aduib-stream-id")).toMatch(/^[0-9a-f-]{36}$/);
    expect(answer.headers.get("x-aduib-negotiated-version")).toBe("2.0");
    expect(answer.headers.get("x-aduib-stream-shape")).toBe("message");
    expect(answer.headers.get("traceparent")).toMatch(/^00-/);
    expect(text).not.toContain("\r");
    const frame = (sequence: number, type: string, payload: unknown) => ({
      id: String(sequence),
      data: {
        jsonrpc: "2.0",
        id: "j1",
        result: { type, sequence, payload, timestamp_ms: expect.any(Number) },
      },
    });
    expect(list).toEqual([
      frame(1, "data", { data: { index: 0 } }),
      frame(2, "data", { data: { index: 1 } }),
      frame(3, "end", { control: { final: true, total_count: 2 } }),
    ]);
  });

  test("in the shape of answers an item is an answer and a failure an error object, then it closes", async () => {
    const { base } = await served();
    const headers = { "x-aduib-stream-shape": "response" };
    const { answer, events: list } = await events(
      base,
      object("StreamService/Count", { n: 5, fail_at: 1 }),
      headers,
    );
    expect(answer.headers.get("x-aduib-stream-shape")).toBe("response");
    expect(list).toHaveLength(2);
    expect(list[0]).toMatchObject({
      id: "1",
      data: { jsonrpc: "2.0", id: "j1", result: { id: "j1", status: "success", result: { index: 0 } } },
    });
    expect(list[1]?.data).toEqual({
      jsonrpc: "2.0",
      id: "j1",
      error: {
        code: 5000,
        message: "Internal error",
        data: { code: 5000, name: "INTERNAL_ERROR", message: "Internal error" },
      },
    });
    const tokens = await events(base, object("StreamService/Tokens", { words: ["ab", "cd"] }), headers);
    expect(tokens.events.map(({ id, data }) => [id, data.result.result])).toEqual([
      ["3", { text: "ab" }],
      ["6", { text: "cd" }],
    ]);
  });

  test("what is refused before it begins has its code's status and is no stream", async () => {
    const { base } = await served();
    const code = async (body: unknown, headers?: Record<string, string>) => {
      const { answer, text } = await events(base, body, headers).catch(async () => {
        throw new Error("it streams");
      });
      expect(answer.headers.get("content-type")).toBe("application/json; charset=utf-8");
      return [answer.status, JSON.parse(text).error.code, JSON.parse(text).id];
    };
    const accept = { accept: "text/event-stream" };
    expect(await code(object("NopeService/Run"), accept)).toEqual([404, 4002, "j1"]);
    expect(await code(object("StreamService/Count", { n: "x" }))).toEqual([400, 2001, "j1"]);
    expect(await code(object("StreamService/Count", []))).toEqual([400, 2001, "j1"]);
    expect(await code(object("StreamService/Count", { n: 1 }), { "x-aduib-stream-shape": "x" })).toEqual([
      400,
      2003,
      "j1",
    ]);
    expect(
      await code(object("AduibRpcService/CallServerStream", { id: "i1", method: "rpc.v2/NopeService/Run" })),
    ).toEqual([404, 4002, "j1"]);
  });

  test("a unary method is a stream of one item for who admits events only", async () => {
    const { base, post } = await served();
    const { events: list } = await events(base, object("EchoService/Echo", { a: 1 }), {
      accept: "text/event-stream",
    });
    expect(list.map(({ data }) => [data.result.type, data.result.payload])).toEqual([
      ["data", { data: { a: 1 } }],
      ["end", { control: { final: true, total_count: 1 } }],
    ]);
    const both = { accept: "application/json, text/event-stream" };
    expect((await post("", object("EchoService/Echo", { a: 1 }), both)).body.result.result).toEqual({ a: 1 });
  });

  test("is listed, and cancelled by its id, as every other", async () => {
    const { url, post, call } = await served();
    const client = await RpcStreamClient.open(
      url,
      object("StreamService/Idle", { ms: 60_000 }),
      {},
      "/aduib_rpc",
    );
    expect((await call("SystemService/Streams")).body.result.streams).toMatchObject([
      { stream_id: client.id, method: "rpc.v2/StreamService/Idle", transport: "jsonrpc" },
    ]);
    const message = { type: "cancel", payload: { control: { reason: "user" } } };
    const { body } = await post("/v2/rpc/stream/control", { stream_id: client.id, message });
    expect(body).toMatchObject({ id: "j1", result: { accepted: true, state: "cancelled" } });
    await client.over();
    expect(client.frames.map(({ data }) => [data.id, data.result.type])).toEqual([
      ["j1", "cancel"],
      ["j1", "end"],
    ]);
  });

  test("the head is there before the handler has anything to say", async () => {
    const { base } = await served();
    const began = performance.now();
    const answer = await fetch(base, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(object("StreamService/Idle", { ms: 15_000 })),
    });
    expect(answer.headers.get("content-type")).toContain("text/event-stream");
    expect(performance.now() - began).toBeLessThan(14_000);
    await answer.body?.cancel();
  });

  test("a client that leaves ends the handler", async () => {
    const { base, call } = await served();
    const leaving = new AbortController();
    const answer = await fetch(base, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(object("StreamService/Count", { n: 1_000, delay_ms: 20 })),
      signal: leaving.signal,
    });
    const reader = (answer.body as ReadableStream<Uint8Array>).getReader();
    await reader.read();
    leaving.abort();
    await until(
      "the handler has heard of it",
      async () => (await call("DemoService/State")).body.result.aborts === 1,
    );
    expect((await call("DemoService/State")).body.result.running).toBe(0);
  });
});

describe("paths", () => {
  test.each([
    "/v2/nope",
    "/v2",
    "/v1/rpc",
    "/v2/rpc/x",
    "/v2/HealthService",
    "/v2/HealthService/Nope",
    "/v2/methods/x",
    "//",
    "/v2/rpc/",
  ])("%p is not there, in an envelope", async (path) => {
    const { post } = await shared();
    const { status, body, headers } = await post(path, {});
    expect(status).toBe(404);
    expect(headers.get("content-type")).toBe("application/json; charset=utf-8");
    expect(body).toMatchObject({
      aduib_rpc: "2.0",
      id: "",
      status: "error",
      error: { code: 4001, name: "METHOD_NOT_FOUND" },
      metadata: { timestamp_ms: expect.any(Number), headers: { "content-type": "application/json" } },
    });
  });

  test.each<[string, string, string]>([
    ["GET", "/v2/rpc", "POST"],
    ["PUT", "/v2/rpc", "POST"],
    ["GET", "", "POST"],
    ["DELETE", "/", "POST"],
    ["GET", "/v2/AduibRpcService/Call", "POST"],
    ["GET", "/v2/HealthService/Check", "POST"],
    ["GET", "/v2/rpc/stream", "POST"],
    ["DELETE", "/v2/rpc/stream/control", "POST"],
    ["PUT", "/v2/AduibRpcService/CallBidirectional", "POST"],
    ["PATCH", "/v2/TaskService/Submit", "POST"],
    ["POST", "/v2/methods", "GET, HEAD"],
  ])("%s %s is the wrong verb", async (method, path, allow) => {
    const { base } = await shared();
    const answer = await fetch(`${base}${path}`, { method });
    expect([answer.status, answer.headers.get("allow")]).toEqual([405, allow]);
    expect(await answer.json()).toMatchObject({
      status: "error",
      id: "",
      error: { code: 2000, name: "BAD_REQUEST" },
    });
  });

  test("the error is in the form that its client reads, and what it sent is left unread", async () => {
    const { base } = await shared();
    const answer = await fetch(`${base}/v2/nope`, {
      method: "POST",
      headers: { accept: "application/msgpack" },
      body: "x".repeat(100_000),
    });
    expect([answer.status, answer.headers.get("content-type")]).toEqual([404, "application/msgpack"]);
    const none = await fetch(`${base}/v2/nope`, { headers: { accept: "text/html" } });
    expect([none.status, none.headers.get("content-type")]).toEqual([404, "application/json; charset=utf-8"]);
  });
});
