// What a call is answered with and under which status (contract 5, 22: V01 to V10, V20, V21), through the real listener of a whole server.
import { afterAll, afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { ERROR_CODES } from "../src/rpc/wire/error-codes.ts";
import { type Served, served, stopServers } from "./support/rpc-server.ts";

// A busy machine is slow, not wrong.
setDefaultTimeout(30_000);
const ID = "550e8400-e29b-41d4-a716-446655440000";
const ECHO = "rpc.v2/EchoService/Echo";
const environment = process.env.ADUIB_ENV;
let one: Served;

beforeAll(async () => {
  process.env.ADUIB_ENV = "production";
  one = await served({ resilience: { circuit_breaker: { enabled: false } } });
});
afterEach(() => {
  process.env.ADUIB_ENV = "production";
});
afterAll(async () => {
  await stopServers();
  if (environment === undefined) delete process.env.ADUIB_ENV;
  else process.env.ADUIB_ENV = environment;
});

const post = (body: unknown) => one.post("/v2/rpc", body, { "accept-encoding": "identity" });

describe("a success", () => {
  test("has the whole envelope, and the headers that say the same (V01)", async () => {
    const { status, body, headers } = await post({
      aduib_rpc: "2.0",
      id: ID,
      method: ECHO,
      data: { text: "hi" },
    });
    expect(status).toBe(200);
    expect(body).toEqual({
      aduib_rpc: "2.0",
      id: ID,
      status: "success",
      result: { text: "hi" },
      negotiated_version: "2.0",
      trace_context: {
        trace_id: expect.stringMatching(/^[0-9a-f]{32}$/),
        span_id: expect.stringMatching(/^[0-9a-f]{16}$/),
        sampled: true,
      },
      metadata: {
        timestamp_ms: expect.any(Number),
        duration_ms: expect.any(Number),
        server_id: expect.any(String),
        server_version: expect.any(String),
        headers: { "content-type": "application/json" },
      },
    });
    const { trace_id, span_id } = body.trace_context;
    expect(headers.get("traceparent")).toBe(`00-${trace_id}-${span_id}-01`);
    expect(headers.get("x-aduib-negotiated-version")).toBe("2.0");
  });

  test("of a handler that returned nothing, or a part, says so", async () => {
    expect(await one.call("DemoService/Nothing")).toMatchObject({
      status: 200,
      body: { status: "success", result: null },
    });
    expect(await one.call("DemoService/Partial")).toMatchObject({
      status: 200,
      body: {
        status: "partial",
        result: { items: [1, 2] },
        metadata: { pagination: { total: 5, page: 1, page_size: 2, has_next: true, cursor: "2" } },
      },
    });
  });
});

test("what is wrong with a call has its code, its status and its id (V02 to V07)", async () => {
  const refused = async (body: unknown, status: number, id: string, error: object) =>
    expect(await post(body)).toMatchObject({ status, body: { status: "error", id, error } });
  const detail = (type: string, field: string) => [{ type: `aduib.rpc/${type}`, field }];
  // V02
  await refused({ method: ECHO }, 400, "", {
    code: 1002,
    name: "INVALID_MESSAGE",
    details: detail("InvalidId", "id"),
  });
  // V03
  await refused('{"id": ', 400, "", { code: 1003, name: "SERIALIZATION_ERROR" });
  // V04
  await refused({ id: ID, method: "EchoService.Echo" }, 400, ID, {
    code: 1002,
    details: detail("InvalidMethod", "method"),
  });
  // V05
  await refused({ id: ID, method: "rpc.v2/NopeService/Run" }, 404, ID, {
    code: 4002,
    name: "SERVICE_NOT_FOUND",
  });
  // V06
  await refused({ id: ID, method: "rpc.v2/EchoService/Nope" }, 404, ID, {
    code: 4001,
    name: "METHOD_NOT_FOUND",
  });
  // V07
  await refused({ id: ID, method: "rpc.v2/MathService/Divide", data: { a: 1 } }, 400, ID, {
    code: 2001,
    name: "INVALID_PARAMS",
    details: detail("MissingField", "data.b"),
  });
});

test("a handler that throws says nothing of itself in production (V08)", async () => {
  const { status, body } = await one.call("DemoService/Fail");
  expect(status).toBe(500);
  expect(body.error).toEqual({ code: 5000, name: "INTERNAL_ERROR", message: "Internal error" });
  expect(JSON.stringify(body)).not.toContain("boom");
});

test("and shows where it threw in development (V09)", async () => {
  process.env.ADUIB_ENV = "development";
  const { status, body } = await one.call("DemoService/Fail");
  expect(status).toBe(500);
  expect(body.error).toMatchObject({
    code: 5000,
    debug: { stack_trace: expect.stringContaining("boom"), internal_message: expect.any(String) },
  });
  expect(body.error.debug.timestamp_ms).toBeGreaterThan(0);
});

test("each of the 32 codes has the status and the name of the table (V10)", async () => {
  expect(ERROR_CODES).toHaveLength(32);
  for (const { code, name, http } of ERROR_CODES)
    expect(await one.call("DemoService/FailWith", { code })).toMatchObject({
      status: http,
      body: { status: "error", error: { code, name } },
    });
});

test("a limit of calls is 429, with what is left in every answer before it (V20)", async () => {
  const limited = await served({ resilience: { rate_limit: { enabled: true, rate: 1, burst: 2 } } });
  for (const remaining of [1, 0])
    expect(await limited.call("EchoService/Echo")).toMatchObject({
      status: 200,
      body: { metadata: { rate_limit: { limit: 2, remaining } } },
    });
  const { status, body, headers } = await limited.call("EchoService/Echo");
  expect(status).toBe(429);
  expect(body).toMatchObject({
    error: {
      code: 5020,
      name: "RATE_LIMITED",
      details: [{ type: "aduib.rpc/rate_limit", metadata: { retry_after_ms: expect.any(Number) } }],
    },
    metadata: { rate_limit: { limit: 2, remaining: 0 } },
  });
  expect(body.metadata.rate_limit.reset_at_ms).toBeGreaterThan(body.metadata.timestamp_ms);
  expect(Number(headers.get("retry-after"))).toBeGreaterThanOrEqual(1);
  // Another tenant has calls of its own.
  expect((await limited.call("EchoService/Echo", null, {}, { "x-tenant-id": "b" })).status).toBe(200);
});

test("a breaker opens at its threshold, of the server's faults only (V21)", async () => {
  const broken = await served({ resilience: { circuit_breaker: { failure_threshold: 2 } } });
  for (let call = 0; call < 3; call++)
    expect((await broken.call("MathService/Divide", { a: 1 })).status).toBe(400);
  expect((await broken.call("MathService/Divide", { a: 1, b: 2 })).status).toBe(200);
  for (let call = 0; call < 2; call++) expect((await broken.call("DemoService/Fail")).status).toBe(500);
  const { status, body, headers } = await broken.call("DemoService/Fail");
  expect(status).toBe(503);
  expect(body.error).toMatchObject({
    code: 5010,
    details: [
      { type: "aduib.rpc/circuit_open", metadata: { state: "open", retry_after_ms: expect.any(Number) } },
    ],
  });
  expect(Number(headers.get("retry-after"))).toBeGreaterThanOrEqual(1);
  // Nor does another tenant, or another method, feel it.
  expect((await broken.call("DemoService/Fail", null, {}, { "x-tenant-id": "b" })).status).toBe(500);
  expect((await broken.call("DemoService/Nothing")).status).toBe(200);
});

test("a code that is none of the table has its range's status, in every format", async () => {
  for (const [code, status] of [
    [4015, 409],
    [5999, 500],
    [2_999, 400],
  ] as const)
    expect(await one.call("DemoService/FailWith", { code })).toMatchObject({
      status,
      body: { error: { code } },
    });
});
