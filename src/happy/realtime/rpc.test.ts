// Happy's sentences, and its labels in the figures, for every code of the relay.
import { expect, test } from "bun:test";
import { Metrics } from "../../observability/metrics.ts";
import type { RelayFailure } from "../../relay/outcome.ts";
import { HappyMetrics } from "../metrics.ts";
import { rpcAnswer } from "./rpc.ts";

const FAILURES: Readonly<Record<RelayFailure, readonly [sentence: string, label: string]>> = {
  "not-available": ["RPC method not available", "not_available"],
  "own-method": ["Cannot call RPC on the same socket", "self_call"],
  "timed-out": ["operation has timed out", "timeout"],
  disconnected: ["RPC target disconnected", "target_disconnected"],
  "params-too-large": ["RPC parameters too large", "internal_error"],
  "answer-too-large": ["RPC answer too large", "internal_error"],
  "too-many": ["Too many calls in flight", "internal_error"],
};

test.each(Object.entries(FAILURES))("%s is told and counted as %j", (name, [error, label]) => {
  const code = name as RelayFailure;
  expect(rpcAnswer({ ok: false, code })).toEqual({ ok: false, error });
  const metrics = new Metrics();
  new HappyMetrics(metrics).called("m:bash", { ok: false, code }, 5);
  expect(metrics.render()).toContain(
    `rpc_calls_total{app="happy-server",method="other",result="${label}"} 1`,
  );
});

test("an answer passes as it is, and one without a result has none", () => {
  expect(rpcAnswer({ ok: true, result: { error: "mine" } })).toEqual({ ok: true, result: { error: "mine" } });
  expect(JSON.stringify(rpcAnswer({ ok: true }))).toBe('{"ok":true}');
});

test("a method has a name in the figures once a target has answered to it", () => {
  const metrics = new Metrics();
  const figures = new HappyMetrics(metrics);
  figures.called("m:bash", { ok: true }, 5);
  figures.called("m:bash", { ok: false, code: "timed-out" }, 5);
  figures.called("m:own words", { ok: true }, 5);
  const page = metrics.render();
  expect(page).toContain('method="bash",result="success"} 1');
  expect(page).toContain('method="bash",result="timeout"} 1');
  expect(page).toContain('method="other",result="success"} 1');
});
