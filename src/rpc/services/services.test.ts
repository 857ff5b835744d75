// What is told of methods and of the document: figures within their error, no secret, descriptors with every field.
import { describe, expect, test } from "bun:test";
import { documentFrom } from "../../../test/support/rpc-call.ts";
import type { MethodDefinition } from "../registry/definition.ts";
import { CallFigures, Durations } from "./figures.ts";
import { maskedDocument } from "./masked.ts";
import { descriptorOf, descriptors } from "./method-list.ts";

describe("durations", () => {
  test("are told within a tenth, from little to very much", () => {
    for (const ms of [0.02, 0.5, 1, 7, 123, 4_567, 3_600_000]) {
      const durations = new Durations();
      for (let n = 0; n < 100; n++) durations.add(ms);
      for (const share of [0.01, 0.5, 0.99, 1]) {
        expect(durations.quantile(share)).toBeGreaterThanOrEqual(ms * 0.99);
        expect(durations.quantile(share)).toBeLessThanOrEqual(ms * 1.11);
      }
    }
  });

  test("of what is out of every scale are its ends, and of nothing 0", () => {
    const durations = new Durations();
    expect(durations.quantile(0.5)).toBe(0);
    durations.add(0);
    durations.add(Number.MAX_SAFE_INTEGER);
    expect(durations.quantile(0.5)).toBe(0.01);
    expect(durations.quantile(1)).toBeGreaterThan(60_000_000);
  });

  test("of half and of nearly all are told apart", () => {
    const durations = new Durations();
    for (let n = 0; n < 980; n++) durations.add(1);
    for (let n = 0; n < 20; n++) durations.add(1_000);
    expect(durations.quantile(0.5)).toBeLessThan(1.2);
    expect(durations.quantile(0.99)).toBeGreaterThan(999);
  });
});

test("figures are by method, and those that are gone are forgotten", () => {
  const figures = new CallFigures();
  figures.ended("b", false, 1);
  figures.ended("a", true, 1);
  figures.ended("a", false, 1);
  expect(figures.list(() => true)).toMatchObject([
    { method: "a", calls: 2, errors: 1 },
    { method: "b", calls: 1, errors: 0 },
  ]);
  expect(figures.list((method) => method === "b")).toHaveLength(1);
  expect(figures.list(() => true)).toMatchObject([{ method: "b" }]);
});

test("no secret of a document is shown, wherever one may stand", () => {
  const secrets = [
    "s3cret-jwt",
    "a".repeat(64),
    "s3cret-key",
    "s3cret-pass",
    "s3cret-grpc",
    "s3cret-otlp",
    "s3cret-redis",
    "s3cret-endpoint",
    "s3cret-nacos",
    "s3cret-address",
  ];
  const document = documentFrom({
    security: {
      jwt: { secret: "s3cret-jwt", issuer: "house" },
      api_keys: [{ sha256: "a".repeat(64), principal: "robot" }],
      tls: {
        server_key: "s3cret-key",
        server_key_password: "s3cret-pass",
        server_key_path: "/etc/key.pem",
        grpc: { server_key: "s3cret-grpc" },
      },
    },
    tracing: {
      otlp_endpoint: "https://user:s3cret-endpoint@collector.example/x",
      otlp_headers: { "x-team": "s3cret-otlp" },
    },
    tasks: { redis_url: "redis://:s3cret-redis@localhost:6379/0" },
    config: {
      nacos: { server_addresses: ["u:s3cret-address@nacos:8848"], password: "s3cret-nacos", data_id: "x" },
    },
  });
  const shown = JSON.stringify(maskedDocument(document));
  for (const secret of secrets) expect(shown).not.toContain(secret);
  for (const text of [
    "robot",
    "house",
    "/etc/key.pem",
    "collector.example/x",
    "localhost:6379/0",
    "nacos:8848",
    "x-team",
  ])
    expect(shown).toContain(text);
  // All the rest is as it counts.
  const { security: _own, tracing: _trace, tasks: _tasks, config: _config, ...rest } = documentFrom();
  expect(maskedDocument(documentFrom())).toMatchObject(JSON.parse(JSON.stringify(rest)));
});

describe("descriptors", () => {
  const method = (name: string, more: Partial<MethodDefinition> = {}): MethodDefinition => {
    const [service = "", handler = ""] = name.split("/");
    return { service, handler, source: "builtin", run: () => null, ...more };
  };

  test("say everything, also what is the default", () => {
    expect(descriptorOf(method("A/Run"))).toEqual({
      method: "rpc.v2/A/Run",
      service: "A",
      handler: "Run",
      version: "1.0.0",
      since: "2.0",
      until: null,
      streaming_input: false,
      streaming_output: false,
      idempotent: false,
      deprecated: false,
      permission: null,
      scopes: [],
      timeout_ms: null,
      cpu: false,
      aliases: [],
      description: null,
      source: "builtin",
    });
    expect(
      descriptorOf(
        method("A/Run", {
          deprecated: { sunsetMs: 5, replacement: "rpc.v2/B/Run" },
          cpu: { path: "/x" },
          streamingOutput: true,
        }),
      ),
    ).toMatchObject({
      deprecated: { since: null, sunset_ms: 5, replacement: "rpc.v2/B/Run" },
      cpu: true,
      streaming_output: true,
    });
  });

  test("are of a version and of a service", () => {
    const all = [method("A/Old", { until: "2.1" }), method("A/New", { since: "2.1" }), method("B/Run")];
    const names = (filter: Parameters<typeof descriptors>[1]) =>
      descriptors(all, filter).map(({ handler }) => handler);
    expect(names({})).toEqual(["Old", "New", "Run"]);
    expect(names({ version: "2.0" })).toEqual(["Old", "Run"]);
    expect(names({ version: "2.10", service: "A" })).toEqual(["New"]);
    expect(names({ version: "x" })).toEqual([]);
    expect(names({ service: "Nope" })).toEqual([]);
  });
});
