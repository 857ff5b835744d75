// The services that are always there, methods of other rooms and the fixtures, as clients of a whole server see them.
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import type { Config } from "./support/config.ts";
import {
  type Json,
  KEY,
  READER_KEY,
  SECURED,
  type Served,
  served,
  sha256,
  stopServers,
} from "./support/rpc-server.ts";
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

describe("health (V39)", () => {
  const path = "/v2/HealthService/Check";

  test("is told without an envelope, in one, as a call and over JSON-RPC, by one implementation", async () => {
    const { post, call } = await shared();
    const bare = await post(path, {});
    expect(bare.status).toBe(200);
    expect(bare.body).toEqual({
      status: "healthy",
      services: expect.objectContaining({ HealthService: "healthy", EchoService: "healthy" }),
    });
    expect(bare.headers.get("x-aduib-negotiated-version")).toBe("2.0");
    expect(bare.headers.get("traceparent")).toMatch(/^00-/);
    const unknown = { status: "unknown", services: { Nope: "unknown" } };
    expect(await post(path, { service: "Nope" })).toMatchObject({ status: 200, body: unknown });
    expect((await call("HealthService/Check", { service: "Nope" })).body.result).toEqual(unknown);
    const envelope = { aduib_rpc: "2.0", id: "e1", data: { service: "Nope" } };
    for (const method of [undefined, "rpc.v2/HealthService/Check"])
      expect((await post(path, { ...envelope, method })).body).toMatchObject({
        id: "e1",
        status: "success",
        result: unknown,
      });
    const object = {
      jsonrpc: "2.0",
      id: 1,
      method: "rpc.v2/HealthService/Check",
      params: { service: "Nope" },
    };
    expect((await post("", object)).body).toEqual({ jsonrpc: "2.0", id: 1, result: unknown });
  });

  test("what is wrong with a bare message is told in an envelope with the message's own id", async () => {
    const { post } = await shared();
    const error = async (body: unknown, headers?: Record<string, string>) => {
      const answer = await post(path, body, headers);
      expect([answer.status, answer.body.aduib_rpc, answer.body.status]).toEqual([400, "2.0", "error"]);
      return [answer.body.id, answer.body.error.code];
    };
    expect(await error({ id: "mine", service: 5 })).toEqual(["mine", 2001]);
    expect(await error({ id: 5, service: 5 })).toEqual(["", 2001]);
    expect(await error("{")).toEqual(["", 1003]);
    expect(await error([])).toEqual(["", 1002]);
    expect(await error({}, { "content-type": "application/msgpack" })).toEqual(["", 1003]);
    expect(await error({}, { accept: "application/msgpack" })).toEqual(["", 1003]);
    expect(await error({ aduib_rpc: "2.0", id: "e1", method: "rpc.v2/EchoService/Echo" })).toEqual([
      "e1",
      1002,
    ]);
    expect(await error({ aduib_rpc: "1.0", id: "e1" })).toEqual(["e1", 1001]);
  });

  test("a bare message carries nothing but itself: who asks is in the headers", async () => {
    const { post } = await served({ security: { ...SECURED.security, anonymous_methods: [] } });
    const claimed = { metadata: { timestamp_ms: 1, auth: { credentials: KEY } } };
    expect((await post(path, claimed)).body.error.code).toBe(3000);
    expect((await post(path, {}, { "x-api-key": KEY })).body.status).toBe("healthy");
  });

  test("an open breaker degrades its service, for the tenant that opened it", async () => {
    const { post, call } = await served({ resilience: { circuit_breaker: { failure_threshold: 2 } } });
    const headers = { "x-tenant-id": "acme" };
    for (let failing = 0; failing < 2; failing++)
      expect((await call("DemoService/Fail", null, {}, headers)).status).toBe(500);
    await until("acme hears of it", async () => (await post(path, {}, headers)).body.status === "degraded");
    expect((await post(path, {}, headers)).body.services).toMatchObject({
      DemoService: "degraded",
      EchoService: "healthy",
    });
    expect((await post(path, {})).body.status).toBe("healthy");
  });

  test("a store that is away makes unhealthy who works on it; who only remembers keys in it is degraded", async () => {
    const { post, call } = await served({ tasks: { store: "redis", redis_url: "redis://127.0.0.1:1" } });
    const { body } = await post(path, {});
    expect(body).toMatchObject({
      status: "unhealthy",
      services: { TaskService: "unhealthy", EchoService: "degraded" },
    });
    expect((await call("EchoService/Echo", { a: 1 })).status).toBe(200);
    const task = { target_method: "rpc.v2/EchoService/Echo" };
    expect((await post("/v2/TaskService/Submit", task)).body.error.code).toBe(6002);
  });

  test("is watched: at once, at each change, and until the client leaves", async () => {
    const { base, call } = await served();
    const leaving = new AbortController();
    const answer = await fetch(`${base}/v2/HealthService/Watch`, {
      method: "POST",
      headers: { "content-type": "application/json", "x-aduib-stream-shape": "response" },
      body: JSON.stringify({ service: "EchoService" }),
      signal: leaving.signal,
    });
    expect(answer.headers.get("content-type")).toContain("text/event-stream");
    const seen: Json[] = [];
    const reading = (async () => {
      let text = "";
      for await (const bytes of answer.body as ReadableStream<Uint8Array>) {
        text += Buffer.from(bytes).toString();
        seen.splice(
          0,
          seen.length,
          ...[...text.matchAll(/^data: (.*)$/gm)].map(([, json = ""]) => JSON.parse(json)),
        );
      }
    })().catch(() => {});
    const first = { status: "healthy", services: { EchoService: "healthy" } };
    await until("the first", () => seen.length === 1);
    expect(seen).toEqual([first]);
    expect((await call("SystemService/Streams")).body.result.streams).toMatchObject([
      {
        method: "rpc.v2/HealthService/Watch",
        tenant: "default",
        principal: "anonymous",
        state: "active",
        transport: "rest",
      },
    ]);
    await call("SystemService/Drain", { service: "EchoService" });
    await until("the change", () => seen.length === 2);
    expect(seen[1]).toEqual({ status: "unhealthy", services: { EchoService: "unhealthy" } });
    leaving.abort();
    await reading;
    await until(
      "it is off the list",
      async () => (await call("SystemService/Streams")).body.result.streams.length === 0,
    );
    const refused = await fetch(`${base}/v2/HealthService/Watch`, {
      method: "POST",
      headers: { accept: "text/html" },
      body: "{}",
    });
    expect([refused.status, ((await refused.json()) as Json).error.code]).toEqual([400, 1003]);
  });
});

describe("the list of methods", () => {
  test("is there for everybody, by version and service, without schemas", async () => {
    const { base } = await shared();
    const list = async (query = "") =>
      ((await (await fetch(`${base}/v2/methods${query}`)).json()) as Json).methods;
    const all = await list();
    expect(all.find(({ method }: Json) => method === "rpc.v2/DocsService/Read")).toMatchObject({
      permission: { resource: "docs", action: "read" },
      scopes: ["docs.read"],
      idempotent: false,
      deprecated: false,
      source: "builtin",
    });
    expect(all.find(({ method }: Json) => method === "rpc.v2/LegacyService/Old").deprecated).toMatchObject({
      replacement: "rpc.v2/EchoService/Echo",
    });
    expect(JSON.stringify(all)).not.toContain("params_schema");
    const names = async (query: string) => (await list(query)).map(({ method }: Json) => method);
    expect(await names("?service=NewService")).toEqual(["rpc.v2/NewService/Only21"]);
    expect(await names("?service=NewService&version=2.0")).toEqual([]);
    expect(await names("?version=zzz")).toEqual([]);
    const head = await fetch(`${base}/v2/methods`, { method: "HEAD" });
    expect([head.status, await head.text()]).toEqual([200, ""]);
  });

  test("needs a proved caller where one is required", async () => {
    const { base } = await served(SECURED);
    const none = await fetch(`${base}/v2/methods`);
    expect([none.status, ((await none.json()) as Json).error.code]).toEqual([401, 3000]);
    expect((await fetch(`${base}/v2/methods`, { headers: { "x-api-key": READER_KEY } })).status).toBe(200);
  });
});

describe("SystemService", () => {
  test("says what this server is, and what each method did", async () => {
    const { call } = await served();
    expect((await call("SystemService/Info")).body.result).toMatchObject({
      version: expect.any(String),
      uptime_ms: expect.any(Number),
      transports: ["rest", "jsonrpc"],
      formats: ["application/json", "application/msgpack", "application/protobuf", "application/avro"],
    });
    for (let n = 0; n < 3; n++) await call("EchoService/Echo");
    await call("DemoService/Fail");
    await call("NopeService/Run");
    const { methods } = (await call("SystemService/Stats")).body.result;
    expect(methods).toEqual([
      {
        method: "rpc.v2/DemoService/Fail",
        calls: 1,
        errors: 1,
        p50_ms: expect.any(Number),
        p99_ms: expect.any(Number),
      },
      {
        method: "rpc.v2/EchoService/Echo",
        calls: 3,
        errors: 0,
        p50_ms: expect.any(Number),
        p99_ms: expect.any(Number),
      },
      expect.objectContaining({ method: "rpc.v2/SystemService/Info" }),
    ]);
    expect(methods[1].p99_ms).toBeGreaterThan(0);
  });

  test("is for who may operate it: a permission where roles are checked, else who is proved or is on this machine", async () => {
    const secured = await served(SECURED);
    for (const method of ["Stats", "Config", "Streams", "Drain"]) {
      const { body } = await secured.call(
        `SystemService/${method}`,
        { service: "EchoService" },
        {},
        { "x-api-key": READER_KEY },
      );
      expect(body.error.code).toBe(3011);
    }
    const config = await secured.call("SystemService/Config", null, {}, { "x-api-key": KEY });
    expect(config.body.result.security.jwt.secret).toBe("***REDACTED***");
    expect(JSON.stringify(config.body)).not.toContain(sha256(KEY));
    const open = await served();
    expect((await open.call("SystemService/Config")).status).toBe(200);
    // What comes through a proxy, or out of a browser's page, is not of this machine.
    const others: readonly Record<string, string>[] = [
      { "x-forwarded-for": "203.0.113.9" },
      { "x-forwarded-for": "127.0.0.1" },
      { origin: "https://evil.example" },
      { via: "1.1 proxy" },
    ];
    for (const headers of others)
      expect(
        (await open.call("SystemService/Drain", { service: "EchoService" }, {}, headers)).body.error.code,
      ).toBe(3011);
    const proved = await served({ security: { api_keys: SECURED.security.api_keys } });
    expect(
      (
        await proved.call(
          "SystemService/Stats",
          null,
          {},
          { "x-forwarded-for": "203.0.113.9", "x-api-key": READER_KEY },
        )
      ).status,
    ).toBe(200);
  });

  test("empties a service: calls are refused until it is undone, those that run go on", async () => {
    const { call } = await served();
    const slow = call("DemoService/Sleep", { ms: 1_000 });
    await until("it runs", async () => (await call("DemoService/State")).body.result.running === 1);
    expect((await call("SystemService/Drain", { service: "DemoService" })).body.result).toEqual({
      service: "DemoService",
      draining: true,
    });
    const refused = await call("DemoService/Nothing");
    expect([refused.status, refused.body.error.code]).toEqual([503, 5002]);
    expect((await call("EchoService/Echo")).status).toBe(200);
    expect((await slow).body.result).toEqual({ slept: 1_000 });
    await call("SystemService/Drain", { service: "DemoService", drain: false });
    expect((await call("DemoService/Nothing")).status).toBe(200);
    expect((await call("SystemService/Drain", { service: "NopeService" })).body.error.code).toBe(4002);
    expect((await call("SystemService/Drain", { service: "SystemService" })).body.error.code).toBe(2003);
    expect((await call("SystemService/Drain", {})).body.error.code).toBe(2001);
  });
});

describe("rooms (27.2)", () => {
  test("topics are read by who may: the list, a page, one item", async () => {
    const topics = [{ name: "notes", schema: true }] as unknown as Config["topics"];
    const { call, base } = await served({}, { topics, topicsEnabled: true } as Partial<Config>, ["topics"]);
    expect((await call("TopicsService/List")).body.result).toEqual({
      topics: [
        { name: "websites", item_key: "website_id" },
        { name: "notes", item_key: "id" },
      ],
    });
    expect((await call("TopicsService/List", { topic: "notes" })).body.result).toEqual({
      topic: "notes",
      page: 1,
      page_size: 15,
      total: 0,
      items: [],
      truncated: false,
    });
    expect(
      (await call("TopicsService/List", { topic: "websites", page: 2, page_size: 5 })).body.result,
    ).toMatchObject({ page: 2, total: 0 });
    for (const [data, code, field] of [
      [{ topic: "notes", id: 1 }, 4000, "data.id"],
      [{ topic: "nope", id: 1 }, 4000, "data.topic"],
      [{ topic: "notes" }, 2001, "data.id"],
      [{ topic: "notes", id: "1" }, 2001, "data.id"],
    ] as const) {
      const { body } = await call("TopicsService/Get", data);
      expect([body.error.code, body.error.details[0].field]).toEqual([code, field]);
    }
    expect((await call("TopicsService/List", { page_size: 101 })).body.error.code).toBe(2001);
    // Logins of topics are no principals here: a stranger reads nothing.
    expect(
      (await call("TopicsService/List", null, {}, { "x-forwarded-for": "203.0.113.9" })).body.error.code,
    ).toBe(3011);
    const { methods } = (await (await fetch(`${base}/v2/methods?service=TopicsService`)).json()) as Json;
    expect(
      methods.map(({ handler, source, permission }: Json) => [handler, source, permission.action]),
    ).toEqual([
      ["Get", "room", "read"],
      ["List", "room", "read"],
    ]);
  });

  test("are not there when they are off", async () => {
    const { call } = await served();
    expect((await call("TopicsService/List")).body.error.code).toBe(4002);
  });
});

describe("fixtures", () => {
  test("State tells of handlers that were told to stop (V17)", async () => {
    const { call } = await served();
    expect(
      (await call("DemoService/Sleep", { ms: 20_000 }, { qos: { timeout_ms: 50 } })).body.error.code,
    ).toBe(5003);
    await until("it has stopped", async () => (await call("DemoService/State")).body.result.running === 0);
    expect((await call("DemoService/State")).body.result).toEqual({ aborts: 1, late_results: 0, running: 0 });
  });

  test("CallOut has a span of the client between both of the server (V58)", async () => {
    const { call } = await served();
    const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    const { outer, inner } = (await call("DemoService/CallOut", null, {}, { traceparent })).body.result;
    expect([outer.trace_id, inner.trace_id]).toEqual([
      "0af7651916cd43dd8448eb211c80319c",
      "0af7651916cd43dd8448eb211c80319c",
    ]);
    expect(outer.parent_span_id).toBe("b7ad6b7169203331");
    expect(["b7ad6b7169203331", outer.span_id, inner.span_id]).not.toContain(inner.parent_span_id);
    expect(inner.parent_span_id).toMatch(/^[0-9a-f]{16}$/);
  });

  test("Progress, and sums of nothing, answer", async () => {
    const { call } = await shared();
    expect((await call("DemoService/Progress", { steps: 3, ms: 1 })).body.result).toEqual({ steps: 3 });
    expect((await call("SumService/Total", { value: 1 })).body.result).toEqual({ total: 0, count: 0 });
  });
});

describe("tasks", () => {
  const SUBMIT = "/v2/TaskService/Submit";
  const later = { target_method: "rpc.v2/DemoService/Nothing", scheduled_at_ms: Date.now() + 3_600_000 };
  const soon = { target_method: "rpc.v2/MathService/Divide", params: { a: 6, b: 3 } };

  test("are submitted, queried and canceled without an envelope, in one, and over JSON-RPC", async () => {
    const { post, call } = await served();
    const { status, body, headers } = await post(SUBMIT, { ...later, metadata: { note: "n" } });
    expect([status, body]).toEqual([
      200,
      { task_id: expect.any(String), status: "scheduled", created_at_ms: expect.any(Number) },
    ]);
    expect(headers.get("x-aduib-negotiated-version")).toBe("2.0");
    const { task_id } = body;
    const queried = await post("/v2/TaskService/Query", { task_id });
    expect(queried).toMatchObject({
      status: 200,
      body: { task: { task_id, status: "scheduled", metadata: { note: "n" } } },
    });
    const object = { jsonrpc: "2.0", id: 7, method: "rpc.v2/TaskService/Query", params: { task_id } };
    expect((await post("", object)).body).toEqual({ jsonrpc: "2.0", id: 7, result: queried.body });
    const enveloped = { aduib_rpc: "2.0", id: "e1", data: { task_id, reason: "no more" } };
    expect((await post("/v2/TaskService/Cancel", enveloped)).body).toMatchObject({
      id: "e1",
      result: { task_id, status: "canceled", canceled: true },
    });
    expect((await call("TaskService/Cancel", { task_id })).body.result).toMatchObject({ canceled: false });
    for (const [path, message, http, code] of [
      ["Query", {}, 400, 2002],
      ["Query", { task_id: "none", id: "mine" }, 404, 4000],
      ["Submit", { target_method: "rpc.v2/NopeService/Run" }, 404, 4002],
      ["Subscribe", { task_id: "none" }, 404, 4000],
    ] as const)
      expect(await post(`/v2/TaskService/${path}`, message)).toMatchObject({
        status: http,
        body: { id: "id" in message ? "mine" : "", error: { code } },
      });
  });

  test("are followed in frames, and as bare events (V41)", async () => {
    const { post, url } = await served();
    const { task_id } = (await post(SUBMIT, soon)).body;
    const follow = (headers: Record<string, string>) =>
      RpcStreamClient.open(url, { task_id }, headers, "/aduib_rpc/v2/TaskService/Subscribe");
    const frames = await follow({});
    await frames.over();
    expect(frames.types.at(-1)).toBe("end");
    expect((frames.items as Json[]).at(-1)).toMatchObject({
      event: "completed",
      task: { task_id, status: "succeeded", result: 2 },
    });
    const bare = await follow({ "x-aduib-stream-shape": "response" });
    await bare.over();
    expect(bare.frames.map(({ data }) => data)).toEqual([
      { event: "completed", task: expect.objectContaining({ task_id }), timestamp_ms: expect.any(Number) },
    ]);
    const object = { jsonrpc: "2.0", id: 1, method: "rpc.v2/TaskService/Subscribe", params: { task_id } };
    const released = { "x-aduib-stream-shape": "response" };
    const jsonRpc = await RpcStreamClient.open(url, object, released, "/aduib_rpc");
    await jsonRpc.over();
    expect(jsonRpc.frames.map(({ data }) => [data.id, data.result.event])).toEqual([[1, "completed"]]);
  });

  test("that are not over are listed for who may operate the server", async () => {
    const { post, call } = await served();
    await post(SUBMIT, soon, { "x-tenant-id": "acme" });
    await post(SUBMIT, later, { "x-tenant-id": "acme" });
    const sleep = { target_method: "rpc.v2/DemoService/Sleep", params: { ms: 60_000 } };
    const { task_id } = (await post(SUBMIT, sleep)).body;
    const list = async () => (await call("SystemService/Tasks")).body.result;
    await until("one to be over and one to run", async () => {
      const { counts } = await list();
      return counts.succeeded === 1 && counts.running === 1;
    });
    expect(await list()).toEqual({
      tasks: [
        {
          task_id,
          target_method: "rpc.v2/DemoService/Sleep",
          tenant: "default",
          principal: "anonymous",
          status: "running",
          priority: 1,
          attempt: 1,
          age_ms: expect.any(Number),
          ready_at_ms: expect.any(Number),
        },
        expect.objectContaining({ tenant: "acme", status: "scheduled", ready_at_ms: later.scheduled_at_ms }),
      ],
      counts: { pending: 0, scheduled: 1, running: 1, succeeded: 1, failed: 0, canceled: 0, retrying: 0 },
    });
    const secured = await served(SECURED);
    const code = async (key: string) =>
      (await secured.call("SystemService/Tasks", null, {}, { "x-api-key": key })).body.error?.code;
    expect([await code(READER_KEY), await code(KEY)]).toEqual([3011, undefined]);
  });

  test("may be for a method that its submitter may call, not for another one", async () => {
    const { post } = await served();
    const { status, body } = await post(
      SUBMIT,
      { target_method: "rpc.v2/SystemService/Config" },
      { "x-forwarded-for": "203.0.113.7" },
    );
    expect([status, body.error.code]).toEqual([403, 3011]);
  });
});
