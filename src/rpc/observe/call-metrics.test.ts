// Labels of figures are bounded, whatever programs and callers make up, and guards are told of without tenants.
import { expect, test } from "bun:test";
import { callFrom } from "../../../test/support/rpc-call.ts";
import { Metrics } from "../../observability/metrics.ts";
import { RpcError } from "../wire/rpc-error.ts";
import { CallMetrics, type InstanceFigure, reportGuards, reportInstances } from "./call-metrics.ts";

const linesOf = (metrics: Metrics, name: string) =>
  metrics
    .render()
    .split("\n")
    .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));

test("a handler that makes up codes has at most so many of them", () => {
  const metrics = new Metrics();
  const calls = new CallMetrics(metrics, { hasService: () => true });
  const call = callFrom();
  for (let code = 7_000; code < 9_000; code++)
    calls.ended(call, { status: "error", error: new RpcError(code) }, 1, 500);
  for (let code = 7_000; code < 9_000; code++) calls.failed(call, code);
  expect(linesOf(metrics, "rpc_errors_total")).toHaveLength(65);
  expect(metrics.render()).toContain('code="other"} 1936');
});

test("programs that come and go have at most so many methods and services", () => {
  const metrics = new Metrics();
  const calls = new CallMetrics(metrics, { hasService: () => true });
  for (let at = 0; at < 1_500; at++) {
    const call = callFrom({ method: `rpc.v2/Service${at}/Run` });
    calls.began(call)();
    calls.ended(call, { status: "success", result: null }, 1, 200);
    calls.answered(call, 10);
  }
  expect(linesOf(metrics, "rpc_requests_total").length).toBeLessThanOrEqual(1_001);
  expect(linesOf(metrics, "rpc_active_requests").length).toBeLessThanOrEqual(1_001);
  const page = metrics.render();
  expect(page).toContain('service="other",method="other",status="success",http_status="200"}');
});

test("the worst breaker of all tenants counts, and no tenant is named", () => {
  const metrics = new Metrics();
  reportGuards(metrics, {
    breakers: () => [
      ["Echo|rpc.v2/Echo/Run|acme", "closed"],
      ["Echo|rpc.v2/Echo/Run|other", "half_open"],
      ["Pay|rpc.v2/Pay/Run|acme", "open"],
      ["acme", "open"],
    ],
    bulkheads: () => [
      { key: "acme|Echo", active: 2, queued: 0 },
      { key: "other|Echo", active: 1, queued: 4 },
    ],
    dimensions: () => ({ breakers: ["service", "method", "tenant"], bulkheads: ["tenant", "service"] }),
  });
  expect(linesOf(metrics, "rpc_circuit_breaker_state")).toEqual([
    'rpc_circuit_breaker_state{name="Echo|rpc.v2/Echo/Run"} 1',
    'rpc_circuit_breaker_state{name="Pay|rpc.v2/Pay/Run"} 2',
    'rpc_circuit_breaker_state{name="other"} 2',
  ]);
  expect(linesOf(metrics, "rpc_bulkhead_active")).toEqual(['rpc_bulkhead_active{service="Echo"} 3']);
  expect(linesOf(metrics, "rpc_bulkhead_queued")).toEqual(['rpc_bulkhead_queued{service="Echo"} 4']);
});

test("instances are counted by service and health, of at most so many services", () => {
  const metrics = new Metrics();
  const one = (service_name: string, health: string): InstanceFigure => ({ given: { service_name }, health });
  const entries = [one("Pay", "healthy"), one("Pay", "healthy"), one("Pay", "unhealthy")];
  for (let at = 0; at < 500; at++) entries.push(one(`S${at}`, "unknown"));
  reportInstances(metrics, () => entries);
  const lines = linesOf(metrics, "rpc_instances");
  expect(lines.slice(0, 2)).toEqual([
    'rpc_instances{service="Pay",health="healthy"} 2',
    'rpc_instances{service="Pay",health="unhealthy"} 1',
  ]);
  expect(lines).toHaveLength(2 + 199 + 1);
  expect(lines.at(-1)).toBe('rpc_instances{service="other",health="unknown"} 301');
});
