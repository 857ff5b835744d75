// What a whole server tells of the calls that it answers: one line, figures, the audit, a span, all with the ids that the caller was told.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { type Collector, collector } from "./support/collector.ts";
import type { Config } from "./support/config.ts";
import { type Json, KEY, SECURED, type Served, served, stopServers } from "./support/rpc-server.ts";
import { until } from "./support/until.ts";

// A busy machine is slow, not wrong.
setDefaultTimeout(30_000);
afterAll(stopServers);

let spans: Collector;
beforeAll(() => {
  spans = collector();
});
afterAll(() => spans.stop());

const FIGURES: Partial<Config> = { metricsToken: "figures" };
const TRACE = "0af7651916cd43dd8448eb211c80319c";
const PARENT = "b7ad6b7169203331";
const traceparent = { traceparent: `00-${TRACE}-${PARENT}-01` };

async function figure({ base }: Served, line: string): Promise<number> {
  const page = await fetch(new URL("/metrics", base), { headers: { authorization: "Bearer figures" } });
  const found = (await page.text()).split("\n").find((one) => one.startsWith(`${line} `));
  return found === undefined ? 0 : Number(found.slice(line.length + 1));
}

const accessLines = ({ logged }: Served): Json[] =>
  logged.map((line) => JSON.parse(line)).filter(({ msg }) => msg === "rpc call");

function audited({ dataDir }: Served, name = "rpc-audit.jsonl"): Json[] {
  try {
    return readFileSync(join(dataDir, name), "utf8")
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line));
  } catch {
    return [];
  }
}

const ofCall = (all: readonly Json[], id: string) => all.filter(({ request_id }) => request_id === id);
const inAudit = (server: Served, id: string, count: number) =>
  until(`${count} events of ${id}`, () => {
    const found = ofCall(audited(server), id);
    return found.length >= count && found;
  });
const as = (id: string, metadata: Record<string, unknown> = {}) => ({
  id,
  metadata: { timestamp_ms: 1, ...metadata },
});
const ECHO = { service: "EchoService", method: "rpc.v2/EchoService/Echo" };
const labels = (all: Record<string, string>) =>
  `{${Object.entries(all)
    .map(([key, value]) => `${key}="${value}"`)
    .join(",")}}`;

describe("one call (V55)", () => {
  test("is one line, one more in the figures, two events and a span, with the same ids", async () => {
    const server = await served(
      { tracing: { otlp_endpoint: spans.url, otlp_headers: { "x-team": "t" } }, server: { id: "node-7" } },
      FIGURES,
    );
    const total = `rpc_requests_total${labels({ ...ECHO, status: "success", http_status: "200" })}`;
    const sum = `rpc_request_duration_ms_sum${labels({ ...ECHO, status: "success" })}`;
    await server.call("EchoService/Echo", { text: "before" });
    const before = [await figure(server, total), await figure(server, sum)];
    const answer = await server.call(
      "EchoService/Echo",
      { text: "hush" },
      as("v55", { tenant_id: "acme", client_id: "c1" }),
      traceparent,
    );
    const { span_id, parent_span_id, trace_id } = answer.body.trace_context;
    expect([trace_id, parent_span_id]).toEqual([TRACE, PARENT]);

    const lines = ofCall(accessLines(server), "v55");
    expect(lines).toEqual([
      expect.objectContaining({
        level: 30,
        area: "rpc",
        trace_id: TRACE,
        span_id,
        request_id: "v55",
        tenant_id: "acme",
        client_id: "c1",
        method: ECHO.method,
        status: "success",
        http_status: 200,
        duration_ms: answer.body.metadata.duration_ms,
      }),
    ]);
    expect(JSON.stringify(lines)).not.toContain("hush");

    expect(await figure(server, total)).toBe((before[0] ?? 0) + 1);
    expect(await figure(server, sum)).toBe((before[1] ?? 0) + answer.body.metadata.duration_ms);
    expect(await figure(server, `rpc_request_size_bytes_count${labels({ service: "EchoService" })}`)).toBe(2);
    expect(await figure(server, `rpc_response_size_bytes_count${labels({ service: "EchoService" })}`)).toBe(
      2,
    );
    expect(await figure(server, `rpc_active_requests${labels({ service: "EchoService" })}`)).toBe(0);

    const events = await inAudit(server, "v55", 2);
    const ids = { request_id: "v55", trace_id: TRACE, span_id, tenant_id: "acme", method: ECHO.method };
    expect(events).toEqual([
      expect.objectContaining({ event_type: "rpc_request", status: "-", error_code: "-", ...ids }),
      expect.objectContaining({
        event_type: "rpc_response",
        status: "success",
        duration_ms: answer.body.metadata.duration_ms,
        principal: "anonymous",
        verified: false,
        auth_scheme: "-",
        remote_address: "127.0.0.1",
        negotiated_version: "2.0",
        ...ids,
      }),
    ]);
    expect(JSON.stringify(events)).not.toContain("hush");
    expect(statSync(join(server.dataDir, "rpc-audit.jsonl")).mode & 0o777).toBe(0o600);

    const sent = await until("the span", () => spans.spans.filter((span) => span.traceId === TRACE)[0]);
    expect(sent).toMatchObject({
      name: `rpc ${ECHO.method}`,
      spanId: span_id,
      parentSpanId: PARENT,
      kind: 2,
      status: {},
    });
    const attributes = Object.fromEntries(sent.attributes.map(({ key, value }) => [key, value.stringValue]));
    expect(attributes).toMatchObject({
      "rpc.system": "aduib_rpc",
      "rpc.method": ECHO.method,
      "rpc.request_id": "v55",
      "rpc.version": "2.0",
      "tenant.id": "acme",
      client_id: "c1",
    });
    expect(BigInt(sent.endTimeUnixNano) >= BigInt(sent.startTimeUnixNano)).toBe(true);
    expect(spans.headers.at(-1)?.get("x-team")).toBe("t");
    expect(spans.resources.at(-1)).toMatchObject({
      "service.name": "roost",
      "service.instance.id": "node-7",
    });
    expect(JSON.stringify(spans.spans)).not.toContain("hush");
  });

  test("that a handler makes carries the trace with a span of the client between the two (V58)", async () => {
    const server = await served();
    const envelope = {
      trace_context: { trace_id: TRACE, span_id: PARENT, baggage: { "no token": "x", 中: "y", plan: "é;a" } },
    };
    for (const more of [{}, envelope]) {
      const answer = await server.call("DemoService/CallOut", null, more, traceparent);
      expect(answer.status).toBe(200);
      const { outer, inner } = answer.body.result;
      expect(outer.trace_id).toBe(TRACE);
      expect(inner.trace_id).toBe(TRACE);
      expect(inner.parent_span_id).toMatch(/^[0-9a-f]{16}$/);
      expect([PARENT, outer.span_id, inner.span_id]).not.toContain(inner.parent_span_id);
      expect(inner.baggage).toEqual(more === envelope ? { plan: "é;a" } : {});
    }
  });
});

test("a stream is one line, one span and two events, at its end, and its client may end it", async () => {
  const server = await served({ tracing: { otlp_endpoint: spans.url } }, FIGURES);
  const open = (id: string, data: unknown, signal?: AbortSignal) =>
    fetch(`${server.base}/v2/rpc/stream`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ aduib_rpc: "2.0", id, method: "rpc.v2/StreamService/Count", data }),
      ...(signal !== undefined && { signal }),
    });
  await (await open("whole", { n: 2 })).text();
  await until("its line", () => ofCall(accessLines(server), "whole").length === 1);
  expect(ofCall(accessLines(server), "whole")[0]).toMatchObject({
    status: "success",
    http_status: 200,
    kind: "stream",
  });
  expect((await inAudit(server, "whole", 2)).map(({ event_type }) => event_type)).toEqual([
    "rpc_request",
    "rpc_response",
  ]);
  const leaving = new AbortController();
  const reader = (await open("left", { n: 1_000, delay_ms: 20 }, leaving.signal)).body?.getReader();
  await reader?.read();
  const counting = { service: "StreamService" };
  expect(await figure(server, `rpc_active_requests${labels(counting)}`)).toBe(1);
  expect(await figure(server, `rpc_streams_active${labels(counting)}`)).toBe(1);
  leaving.abort();
  await until("its line", () => ofCall(accessLines(server), "left").length === 1);
  expect(ofCall(accessLines(server), "left")[0]).toMatchObject({ level: 30, ended_by: "disconnect" });
  expect(await figure(server, `rpc_active_requests${labels(counting)}`)).toBe(0);
  expect(await figure(server, `rpc_cancelled_total${labels({ ...counting, kind: "stream" })}`)).toBe(1);
  const named = (id: string) =>
    spans.spans.filter(({ attributes }) => attributes.some(({ value }) => value.stringValue === id));
  await until("both spans", () => named("whole").length === 1 && named("left").length === 1);
});

describe("figures", () => {
  test("label only what the server serves, and each error by its code", async () => {
    const server = await served({}, FIGURES);
    await server.call("NopeService/Run");
    await server.call("EchoService/Nope");
    await server.call("DemoService/FailWith", { code: 4000 });
    await server.call("DemoService/FailWith", { code: 4000 });
    await server.call("DemoService/WithFallback", { code: 6002 });
    await server.call("LegacyService/Old");
    await server.post("/v2/rpc", "{");
    const error = (service: string, method: string, code: string) =>
      figure(server, `rpc_errors_total${labels({ service, method, code })}`);
    expect(await error("unknown", "unknown", "4002")).toBe(1);
    expect(await error("unknown", "unknown", "4001")).toBe(1);
    expect(await error("unknown", "unknown", "1003")).toBe(1);
    expect(await error("DemoService", "rpc.v2/DemoService/FailWith", "4000")).toBe(2);
    // Its caller was answered well, and it failed all the same.
    expect(await error("DemoService", "rpc.v2/DemoService/WithFallback", "6002")).toBe(1);
    expect(
      await figure(server, `rpc_deprecated_calls_total${labels({ method: "rpc.v2/LegacyService/Old" })}`),
    ).toBe(1);
    const page = await fetch(new URL("/metrics", server.base), {
      headers: { authorization: "Bearer figures" },
    });
    expect(await page.text()).not.toContain("Nope");
  });

  test("count what limits, retries, cancels and guards", async () => {
    const server = await served(
      {
        resilience: {
          rate_limit: {
            enabled: true,
            algorithm: "fixed_window",
            overrides: { CounterService: { rate: 1, burst: 1 } },
          },
          circuit_breaker: { failure_threshold: 1 },
        },
      },
      FIGURES,
    );
    const answers = [];
    for (let at = 0; at < 3; at++)
      answers.push((await server.call("CounterService/Increment", { key: "a" })).status);
    const blocked = answers.filter((status) => status === 429).length;
    const counter = { service: "CounterService" };
    expect(await figure(server, `rpc_rate_limit_total${labels({ ...counter, outcome: "blocked" })}`)).toBe(
      blocked,
    );
    expect(blocked).toBeGreaterThan(0);

    const retry = { retry: { max_attempts: 3, initial_delay_ms: 1, max_delay_ms: 2 } };
    await server.call("DemoService/Flaky", { key: "k", fail_times: 2, code: 6002 }, { qos: retry });
    const flaky = { service: "DemoService", method: "rpc.v2/DemoService/Flaky" };
    expect(await figure(server, `rpc_retry_total${labels(flaky)}`)).toBe(2);

    await server.call("DemoService/Fail");
    expect(
      await figure(
        server,
        `rpc_circuit_breaker_state${labels({ name: "DemoService|rpc.v2/DemoService/Fail" })}`,
      ),
    ).toBe(2);

    const leaving = new AbortController();
    const sleep = { aduib_rpc: "2.0", id: "left", method: "rpc.v2/DemoService/Sleep", data: { ms: 20_000 } };
    const call = fetch(`${server.base}/v2/rpc`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(sleep),
      signal: leaving.signal,
    }).catch(() => "left");
    const demo = labels({ service: "DemoService" });
    await until("the call to run", async () => (await figure(server, `rpc_active_requests${demo}`)) === 1);
    expect(await figure(server, `rpc_bulkhead_active${demo}`)).toBe(1);
    leaving.abort();
    await call;
    const cancelled = `rpc_cancelled_total${labels({ service: "DemoService", kind: "unary" })}`;
    await until("the end of the call", async () => (await figure(server, cancelled)) === 1);
    await until("its place", async () => (await figure(server, `rpc_active_requests${demo}`)) === 0);
    const noError = { service: "DemoService", method: "rpc.v2/DemoService/Sleep", code: "5002" };
    expect(await figure(server, `rpc_errors_total${labels(noError)}`)).toBe(0);
    await until("its line", () => ofCall(accessLines(server), "left").length === 1);
    expect(ofCall(accessLines(server), "left")[0]).toMatchObject({ level: 30, ended_by: "disconnect" });
  });

  test("are not counted while the document says so", async () => {
    const server = await served({ observability: { metrics_enabled: false } }, FIGURES);
    const total = `rpc_requests_total${labels({ ...ECHO, status: "success", http_status: "200" })}`;
    await server.call("EchoService/Echo");
    expect(await figure(server, total)).toBe(0);
    server.change({});
    await server.call("EchoService/Echo");
    expect(await figure(server, total)).toBe(1);
  });
});

describe("the access line", () => {
  test("has the level of its code, and is there for what could not be read", async () => {
    const server = await served();
    await server.call("DemoService/FailWith", { code: 6000 }, as("bad"));
    await server.call("EchoService/Echo", 5, as("odd"));
    await server.post("/v2/rpc", "{");
    const level = (id: string | undefined) =>
      accessLines(server).filter(({ request_id }) => request_id === id)[0];
    expect(level("bad")).toMatchObject({ level: 50, code: 6000, http_status: 502 });
    expect(level("odd")).toMatchObject({ level: 40, code: 1002 });
    expect(level(undefined)).toMatchObject({ level: 40, code: 1003 });
    expect(accessLines(server)).toHaveLength(3);
  });

  test("is left out below the level of the document, and is text where it says so", async () => {
    const server = await served({ observability: { log_level: "warn" } });
    await server.call("EchoService/Echo", null, as("quiet"));
    expect(server.logged.join("")).not.toContain("quiet");
    server.change({ observability: { log_format: "text" } });
    await server.call("EchoService/Echo", null, as("loud", { client_id: "a\nb c" }));
    const line = server.logged
      .map((one) => JSON.parse(one))
      .find(({ msg }) => msg.includes("request_id=loud"));
    expect(line.msg).toStartWith(
      "rpc call method=rpc.v2/EchoService/Echo status=success http_status=200 duration_ms=",
    );
    expect(line.msg).toContain('client_id="a\\nb c"');
  });

  test("names of methods that go away are warned of once a minute", async () => {
    const server = await served();
    for (let at = 0; at < 3; at++) await server.call("LegacyService/Old");
    expect(server.logged.filter((line) => line.includes("a method that goes away was called"))).toHaveLength(
      1,
    );
  });
});

describe("the audit", () => {
  const robot = { metadata: { timestamp_ms: 1, auth: { scheme: "api_key", credentials: KEY } } };

  test("tells who was let in, who was not, and why", async () => {
    const server = await served(SECURED);
    await server.call("DocsService/Write", null, { id: "in", ...robot });
    await server.call("DocsService/Write", null, {
      id: "out",
      metadata: { timestamp_ms: 1, auth: { scheme: "api_key", credentials: "key-of-a-reader" } },
    });
    await server.call("DocsService/Write", null, {
      id: "wrong",
      metadata: { timestamp_ms: 1, auth: { scheme: "api_key", credentials: "s3cret-guess" } },
    });
    const kinds = async (id: string, count: number) =>
      (await inAudit(server, id, count)).map(({ event_type }) => event_type);
    expect(await kinds("in", 3)).toEqual(["rpc_request", "security_access_granted", "rpc_response"]);
    expect(await kinds("out", 3)).toEqual(["rpc_request", "security_access_denied", "rpc_response"]);
    expect(await kinds("wrong", 3)).toEqual(["rpc_request", "auth_failed", "rpc_response"]);
    const all = audited(server);
    expect(ofCall(all, "out")[1]).toMatchObject({
      level: "warn",
      principal: "reader",
      verified: true,
      auth_scheme: "api_key",
      details: { permission: { resource: "docs", action: "write" }, roles: ["reader"] },
    });
    expect(ofCall(all, "wrong")[1]).toMatchObject({ principal: "anonymous", error_code: 3001 });
    for (const secret of ["s3cret-guess", KEY, "key-of-a-reader"])
      expect(JSON.stringify(all)).not.toContain(secret);
  });

  test("has what was said only when it is asked for, and never what is secret", async () => {
    const server = await served({ observability: { audit_params: true, audit_response: true } });
    await server.call(
      "EchoService/Echo",
      { text: "said", password: "hush", deep: [{ Access_Token: "hush" }], long: "x".repeat(300) },
      as("said"),
    );
    const [request, response] = await inAudit(server, "said", 2);
    const shown = {
      text: "said",
      password: "***REDACTED***",
      deep: [{ Access_Token: "***REDACTED***" }],
      long: `${"x".repeat(256)}...[truncated]`,
    };
    expect(request.params).toEqual(shown);
    expect(response.response).toEqual(shown);
    expect(JSON.stringify(audited(server)) + server.logged.join("")).not.toContain("hush");
  });

  test("names a limit, an alias and a fallback", async () => {
    const server = await served({
      resilience: { rate_limit: { enabled: true, overrides: { CounterService: { rate: 0.001, burst: 1 } } } },
    });
    await server.call("EchoService/Say", null, as("alias"));
    await server.call("DemoService/WithFallback", { code: 6002 }, as("fallback"));
    await server.call("CounterService/Increment", { key: "a" }, as("one"));
    await server.call("CounterService/Increment", { key: "a" }, as("two"));
    expect((await inAudit(server, "alias", 2))[1]).toMatchObject({
      method: ECHO.method,
      alias_of: "rpc.v2/EchoService/Say",
    });
    expect((await inAudit(server, "fallback", 2))[1]).toMatchObject({
      status: "success",
      details: { fallback_for: 6002 },
    });
    expect((await inAudit(server, "two", 3)).map(({ event_type }) => event_type)).toEqual([
      "rpc_request",
      "security_rate_limited",
      "rpc_response",
    ]);
  });

  test("goes where the document says, from the next event on, and is silent when it says so", async () => {
    const server = await served({ observability: { audit_file: "one.jsonl" } });
    await server.call("EchoService/Echo", null, as("a"));
    server.change({ observability: { audit_file: "two.jsonl" } });
    await server.call("EchoService/Echo", null, as("b"));
    server.change({ observability: { audit_file: "-", audit_response: true } });
    await server.call("EchoService/Echo", { text: "told" }, as("c"));
    server.change({ security: { audit_enabled: false } });
    await server.call("EchoService/Echo", null, as("d"));
    await until("the first file", () => ofCall(audited(server, "one.jsonl"), "a").length === 2);
    await until("the second file", () => ofCall(audited(server, "two.jsonl"), "b").length === 2);
    const lines = server.logged.map((line) => JSON.parse(line)).filter(({ logger }) => logger === "audit");
    expect(lines.map(({ event_type, request_id }) => [event_type, request_id])).toEqual([
      ["rpc_request", "c"],
      ["rpc_response", "c"],
    ]);
    expect(lines[1].response).toEqual({ text: "told" });
    expect(audited(server)).toEqual([]);
  });
});
