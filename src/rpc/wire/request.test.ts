import { describe, expect, test } from "bun:test";
import { type IdMode, readRequest } from "./request.ts";

const METHOD = "rpc.v2/EchoService/Echo";

function problems(message: unknown, idMode: IdMode = "string") {
  const read = readRequest(message, idMode);
  if ("request" in read) return undefined;
  return { code: read.error.code, fields: read.error.details.map(({ field }) => field), id: read.id };
}

function request(message: object, idMode: IdMode = "string") {
  const read = readRequest(message, idMode);
  if (!("request" in read)) throw new Error(JSON.stringify(read.error.details));
  return read.request;
}

test("what is not given has its default, and a null is not given", () => {
  const empty = {
    name: null,
    data: null,
    supported_versions: null,
    trace_context: null,
    metadata: null,
    qos: null,
  };
  for (const more of [{}, empty])
    expect(request({ id: "a", method: METHOD, ...more })).toMatchObject({
      id: "a",
      data: null,
      supportedVersions: undefined,
      metadata: undefined,
      qos: { priority: 1, timeoutMs: undefined, retry: undefined, idempotencyKey: undefined },
    });
});

describe("ids", () => {
  test("integers become their text", () => {
    expect(request({ id: 7, method: METHOD }).id).toBe("7");
  });

  test.each([
    [{}],
    [{ id: null }],
    [{ id: "" }],
    [{ id: "x".repeat(129) }],
    [{ id: "a b" }],
    [{ id: "é" }],
    [{ id: true }],
    [{ id: 1.5 }],
    [{ id: 2 ** 53 }],
    [{ id: {} }],
    [{ id: [] }],
  ])("%j is none", (asked) => {
    expect(problems({ ...asked, method: METHOD })).toEqual({ code: 1002, fields: ["id"], id: "" });
  });

  test("a mode asks for UUIDs of version 4, another one makes them", () => {
    const uuid = "550e8400-e29b-41d4-a716-446655440000";
    expect(request({ id: uuid, method: METHOD }, "uuid4").id).toBe(uuid);
    expect(problems({ id: "550e8400-e29b-11d4-a716-446655440000", method: METHOD }, "uuid4")?.code).toBe(
      1002,
    );
    expect(request({ method: METHOD }, "lenient").id).toMatch(/^[0-9a-f-]{36}$/);
    expect(problems({ id: true, method: METHOD }, "lenient")?.code).toBe(1002);
  });
});

describe("shapes that are wrong make the message invalid, all of them at once", () => {
  test.each<[object, string]>([
    [{ aduib_rpc: 2 }, "aduib_rpc"],
    [{ method: "EchoService.Echo" }, "method"],
    [{ method: 5 }, "method"],
    [{ data: [] }, "data"],
    [{ data: "x" }, "data"],
    [{ supported_versions: "2.0" }, "supported_versions"],
    [{ supported_versions: ["2.0", 2] }, "supported_versions.1"],
    [{ supported_versions: new Array(17).fill("2.0") }, "supported_versions"],
    [{ trace_context: "x" }, "trace_context"],
    [{ metadata: {} }, "metadata.timestamp_ms"],
    [{ metadata: { timestamp_ms: "1" } }, "metadata.timestamp_ms"],
    [{ metadata: { timestamp_ms: 1, headers: { a: 1 } } }, "metadata.headers.a"],
    [{ metadata: { timestamp_ms: 1, headers: { ["k".repeat(129)]: "v" } } }, "metadata.headers"],
    [{ metadata: { timestamp_ms: 1, headers: { k: "v".repeat(4_097) } } }, "metadata.headers.k"],
    [{ metadata: { timestamp_ms: 1, auth: [] } }, "metadata.auth"],
    [{ metadata: { timestamp_ms: 1, auth: { roles: "admin" } } }, "metadata.auth.roles"],
    [{ metadata: { timestamp_ms: 1, long_task: "yes" } }, "metadata.long_task"],
    [{ qos: 5 }, "qos"],
    [{ qos: { timeout_ms: "5" } }, "qos.timeout_ms"],
    [{ qos: { retry: [] } }, "qos.retry"],
    [{ qos: { idempotency_key: 5 } }, "qos.idempotency_key"],
  ])("%j at %s", (more, field) => {
    expect(problems({ id: "a", method: METHOD, ...more })).toEqual({ code: 1002, fields: [field], id: "a" });
  });

  test("but no more than twenty", () => {
    const headers = Object.fromEntries(Array.from({ length: 40 }, (_, index) => [`k${index}`, "v"]));
    expect(problems({ id: "a", method: METHOD, metadata: { timestamp_ms: 1, headers } })).toBeUndefined();
    const retryable_codes = new Array(40).fill(1);
    expect(problems({ id: "a", method: METHOD, qos: { retry: { retryable_codes } } })?.fields).toHaveLength(
      20,
    );
  });
});

describe("values out of range are told as such", () => {
  test.each<[object, string]>([
    [{ priority: 4 }, "qos.priority"],
    [{ priority: "urgent" }, "qos.priority"],
    [{ priority: 1.5 }, "qos.priority"],
    [{ timeout_ms: 0 }, "qos.timeout_ms"],
    [{ timeout_ms: -1 }, "qos.timeout_ms"],
    [{ timeout_ms: 1.5 }, "qos.timeout_ms"],
    [{ idempotency_key: "" }, "qos.idempotency_key"],
    [{ idempotency_key: "k".repeat(257) }, "qos.idempotency_key"],
    [{ retry: { max_attempts: 0 } }, "qos.retry.max_attempts"],
    [{ retry: { max_attempts: 11 } }, "qos.retry.max_attempts"],
    [{ retry: { initial_delay_ms: 60_001 } }, "qos.retry.initial_delay_ms"],
    [{ retry: { initial_delay_ms: 10, max_delay_ms: 9 } }, "qos.retry.max_delay_ms"],
    [{ retry: { backoff_multiplier: 0.5 } }, "qos.retry.backoff_multiplier"],
    [{ retry: { retryable_codes: [6002, 1234] } }, "qos.retry.retryable_codes.1"],
  ])("%j at %s", (qos, field) => {
    expect(problems({ id: "a", method: METHOD, qos })).toEqual({ code: 2003, fields: [field], id: "a" });
  });

  test.each<[object, string]>([
    [{ tenant_id: "a b" }, "metadata.tenant_id"],
    [{ tenant_id: "" }, "metadata.tenant_id"],
    [{ auth: { scheme: "basic" } }, "metadata.auth.scheme"],
  ])("%j at %s", (metadata, field) => {
    const asked = { id: "a", method: METHOD, metadata: { timestamp_ms: 1, ...metadata } };
    expect(problems(asked)).toEqual({ code: 2003, fields: [field], id: "a" });
  });
});

test("what a retry may answer is cut to what the server would retry, with INTERNAL_ERROR by choice", () => {
  const { qos } = request({
    id: "a",
    method: METHOD,
    qos: { retry: { retryable_codes: [5000, 5003, 5010, 2001, 6002] } },
  });
  expect([...(qos.retry?.codes ?? [])]).toEqual([5000, 6002]);
});

test("priorities have names too", () => {
  for (const [name, priority] of [
    ["low", 0],
    ["critical", 3],
  ] as const)
    expect(request({ id: "a", method: METHOD, qos: { priority: name } }).qos.priority).toBe(priority);
});

test.each([[[]], ["text"], [5], [null], [new Uint8Array(3)]])("%p is no message", (message) => {
  expect(problems(message)).toMatchObject({ code: 1002, id: "" });
});
