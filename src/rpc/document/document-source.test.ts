// What the providers say becomes one document: who wins, what is refused and how it is told, and that a bad change changes nothing.
import { afterEach, describe, expect, test } from "bun:test";
import type { Logger } from "pino";
import { createLog } from "../../observability/log.ts";
import { refuseSecurity } from "../security/startup.ts";
import { DEFAULT_DOCUMENT, type RpcDocument, rpcDocument } from "./document.ts";
import { DocumentSource, type Source } from "./document-source.ts";
import { EnvironmentProvider } from "./environment-provider.ts";
import { MemoryProvider } from "./memory-provider.ts";
import type { Provider } from "./provider.ts";

const open: DocumentSource[] = [];
afterEach(async () => {
  for (const source of open.splice(0)) await source.close();
});

interface Opened {
  readonly source: DocumentSource;
  readonly document: () => RpcDocument;
  readonly logged: string[];
  rejected: number;
}

async function opened(...sources: (Source | Provider)[]): Promise<Opened> {
  const logged: string[] = [];
  const log: Logger = createLog("trace", { write: (line) => logged.push(line) });
  const result = { logged, rejected: 0 } as unknown as { -readonly [K in keyof Opened]: Opened[K] };
  const source = new DocumentSource({
    log,
    refuse: (document) => refuseSecurity(document, { hasModules: false }),
    warnings: () => [],
    rejected: () => {
      result.rejected++;
    },
  });
  open.push(source);
  for (const one of sources) await source.add("provider" in one ? one : { provider: one });
  source.start();
  result.source = source;
  result.document = source.current;
  return result;
}

const memory = (given: unknown) => new MemoryProvider(given);
const refused = (given: unknown) =>
  opened(memory(given)).then(
    () => "accepted",
    (error: Error) => error.message,
  );

test("without a word the defaults count; a later provider wins, map by map, and lists count whole", async () => {
  expect((await opened(memory(undefined))).document()).toEqual(DEFAULT_DOCUMENT);
  const { document } = await opened(
    memory({
      qos: { default_timeout_ms: 1, max_timeout_ms: 2 },
      protocol: { supported_versions: ["2.0", "2.1"] },
    }),
    new EnvironmentProvider({ ADUIB_QOS__MAX_TIMEOUT_MS: "3", ADUIB_PROTOCOL__SUPPORTED_VERSIONS: "2.2" }),
    memory({ qos: { idempotency_ttl_s: 4 } }),
  );
  expect(document().qos).toMatchObject({ default_timeout_ms: 1, max_timeout_ms: 3, idempotency_ttl_s: 4 });
  expect(document().protocol.supported_versions).toEqual(["2.2"]);
});

describe("the environment", () => {
  const from = async (variables: Record<string, string>) =>
    (await opened(new EnvironmentProvider(variables))).document();

  test("says every kind of value as text", async () => {
    const document = await from({
      ADUIB_SECURITY__REQUIRE_AUTH: "yes",
      ADUIB_RESILIENCE__RATE_LIMIT__RATE: "2.5",
      ADUIB_RESILIENCE__RATE_LIMIT: '{"burst":7,"rate":1}',
      ADUIB_SERVER__ID: "007",
      ADUIB_STREAM__HEARTBEAT_INTERVAL_MS: "200",
      ADUIB_PROTOCOL__CONTENT_TYPES: '["application/json"]',
      ADUIB_PROTOCOL__COMPRESSIONS: "gzip, lz4",
      ADUIB_QOS__MAX_TIMEOUT_MS: "",
    });
    expect(document.security.require_auth).toBe(true);
    expect(document.resilience.rate_limit).toMatchObject({ rate: 2.5, burst: 7 });
    expect(document.server.id).toBe("007");
    expect(document.stream.heartbeat_interval_ms).toBe(200);
    expect(document.protocol).toMatchObject({
      content_types: ["application/json"],
      compressions: ["gzip", "lz4"],
    });
    expect(document.qos.max_timeout_ms).toBe(DEFAULT_DOCUMENT.qos.max_timeout_ms);
  });

  test("leaves what decides about debug information, and what Kubernetes sets, to others", async () => {
    const document = await from({
      ADUIB_ENV: "production",
      ADUIB_RPC_DEBUG: "1",
      ADUIB_RPC_PORT: "tcp://10.0.0.1:80",
      ADUIB_RPC_SERVICE_HOST: "10.0.0.1",
      ADUIB_RPC_PORT_80_TCP_ADDR: "10.0.0.1",
    });
    expect(document).toEqual(DEFAULT_DOCUMENT);
  });

  test("a name that is no key is refused with the nearest", async () => {
    await expect(from({ ADUIB_QOS__MAX_TIMOUT_MS: "1" })).rejects.toThrow(
      "the environment: ADUIB_QOS__MAX_TIMOUT_MS is no key of the document. Did you mean ADUIB_QOS__MAX_TIMEOUT_MS?",
    );
    await expect(from({ ADUIB_QOS__MAX_TIMEOUT_MS: "soon" })).rejects.toThrow(
      "the environment: qos.max_timeout_ms: Invalid input: expected number, received string",
    );
  });
});

describe("what is refused", () => {
  test("a key that there is not, with the nearest that there is, and who wrote it", async () => {
    expect(await refused({ protocol: { contnt_types: [] } })).toBe(
      "memory: there is no protocol.contnt_types. Did you mean protocol.content_types?",
    );
    expect(await refused({ rate_limit: {} })).toBe(
      "memory: there is no rate_limit. Did you mean resilience.rate_limit?",
    );
    expect(
      await refused({ resilience: { bulkhead: { overrides: { Echo: { max_concurent: 1 } } } } }),
    ).toContain("Did you mean resilience.bulkhead.overrides.Echo.max_concurrent?");
    const left = await refused({ health_check: { intervall_seconds: 1 }, security: { mtls: { tsl: {} } } });
    expect(left).toContain(
      "there is no health_check.intervall_seconds. Did you mean health_check.interval_seconds?",
    );
    expect(left).toContain("there is no security.mtls.tsl. Did you mean security.mtls.");
  });

  test("a value of another kind, without the value", async () => {
    const message = await refused({ security: { jwt: { secret: 12345678 } } });
    expect(message).toContain("memory: security.jwt.secret");
    expect(message).not.toContain("12345678");
  });

  test.each([[[]], ["text"], [5], [{ aduib_rpc: 5 }], [JSON.parse('{"__proto__": {"a": 1}}')]])(
    "%j is no document",
    async (given) => {
      expect(await refused(given)).toStartWith("memory: ");
    },
  );

  test("a map that contains itself", async () => {
    const circle: Record<string, unknown> = {};
    circle.qos = circle;
    expect(await refused(circle)).toContain("nested too deeply");
  });
});

test("the original's names and its outer key are understood", async () => {
  const { document, logged } = await opened(
    memory({
      aduib_rpc: {
        client: { http_timeout: 5 },
        protocol: { protocol_versions: ["1.0", "2.0", "2.1"], default_version: "2.0" },
        resilience: {
          rate_limiter: { algorithm: "fixed_window", rate: 5, burst: 6, wait_timeout_ms: 9 },
          circuit_breaker: { timeout_seconds: 1.5 },
          retry: { max_attempts: 3 },
          fallback: { handlers: [] },
        },
        security: {
          rbac: false,
          audit: false,
          superadmin_role: null,
          anonymous_methods: "rpc.v2/A/B, rpc.v2/C/D",
          mtls: {
            enabled: true,
            allowed_common_names: "a,b",
            tls: { server_cert_path: "/c", client_cert_verification: 1, minimum_version: "TLSv1_3" },
          },
        },
        telemetry: {
          service_name: "mine",
          otlp_endpoint: "http://localhost:4318",
          log_level: "WARNING",
          log_format: "console",
        },
        health_check: { interval_seconds: 2, timeout_seconds: 0.5, healthy_threshold: 3, path: "/health" },
      },
      qos: { max_timeout_ms: 77 },
    }),
  );
  expect(document()).toMatchObject({
    protocol: { supported_versions: ["2.0", "2.1"] },
    qos: { max_timeout_ms: 77 },
    resilience: {
      rate_limit: { enabled: true, algorithm: "fixed_window", rate: 5, burst: 6 },
      circuit_breaker: { timeout_ms: 1_500 },
    },
    security: {
      rbac_enabled: false,
      audit_enabled: false,
      anonymous_methods: ["rpc.v2/A/B", "rpc.v2/C/D"],
      tls: {
        server_cert_path: "/c",
        client_cert_verification: "optional",
        minimum_version: "TLSv1.3",
        allowed_subject_cns: ["a", "b"],
      },
    },
    observability: { service_name: "mine", log_level: "warn", log_format: "text" },
    tracing: { otlp_endpoint: "http://localhost:4318" },
    discovery: { check_interval_ms: 2_000, check_timeout_ms: 500, healthy_threshold: 3 },
  });
  for (const place of [
    "client",
    "protocol.default_version",
    "resilience.rate_limiter.wait_timeout_ms",
    "resilience.retry.max_attempts",
    "resilience.fallback",
    "health_check.path",
  ])
    expect(logged.join("")).toContain(`memory: ${place} means nothing here: `);
});

test("the original's switches switch off what they name", async () => {
  const { document } = await opened(
    memory({ resilience: { enabled: false }, telemetry: false, security: { mtls: { enabled: false } } }),
  );
  const { rate_limit, bulkhead, circuit_breaker, retry } = document().resilience;
  for (const { enabled } of [rate_limit, bulkhead, circuit_breaker, retry]) expect(enabled).toBe(false);
  expect(document().observability.metrics_enabled).toBe(false);
  expect(document().security.tls.client_cert_verification).toBe("none");
});

test("what is said under both names is a mistake", async () => {
  expect(await refused({ protocol: { protocol_versions: ["2.0"], supported_versions: ["2.0"] } })).toBe(
    "memory: protocol.protocol_versions and protocol.supported_versions say the same: keep one of the two",
  );
});

const variable = (name: string) => `\${${name}}`;

test("variables are put in where they may be, in the kind that their place wants", async () => {
  const given = {
    security: { jwt: { secret: variable("SECRET") } },
    qos: { max_timeout_ms: variable("MAX:-5000") },
    server: { id: `node-${variable("NUMBER")}` },
    protocol: { supported_versions: ["2.0"] },
  };
  const variables = { SECRET: "123", NUMBER: "7", MAX: "" };
  const { document } = await opened({ provider: memory(given), variables });
  expect(document().security.jwt?.secret).toBe("123");
  expect(document().qos.max_timeout_ms).toBe(5_000);
  expect(document().server.id).toBe("node-7");
  await expect(opened({ provider: memory(given), variables: {} })).rejects.toThrow(
    "memory: security.jwt.secret names the variable SECRET, which is not set",
  );
  // Who writes it elsewhere does not read this machine's environment.
  expect((await opened(memory(given && { server: { id: variable("SECRET") } }))).document().server.id).toBe(
    variable("SECRET"),
  );
});

describe("a change", () => {
  test("counts whole, or not at all, and says so", async () => {
    const provider = memory({ qos: { max_timeout_ms: 1 } });
    const one = await opened(provider);
    const changes: number[] = [];
    one.source.onChange(({ qos }) => changes.push(qos.max_timeout_ms));
    provider.set({ qos: { max_timeout_ms: 2 } });
    const good = one.document();
    provider.set({ qos: { max_timeout_ms: 3 }, resilience: { rate_limit: { rate: "x" } } });
    provider.set("nothing");
    expect(one.document()).toBe(good);
    expect(one.rejected).toBe(2);
    expect(one.logged.join("")).toContain("resilience.rate_limit.rate");
    provider.set({ qos: { max_timeout_ms: 4 } });
    expect(changes).toEqual([2, 4]);
    expect(one.rejected).toBe(2);
  });

  test("that would let in everybody is refused", async () => {
    const jwt = { secret: "a secret that is long enough for HS256" };
    const provider = memory({ security: { rbac_enabled: true, jwt } });
    const one = await opened(provider);
    provider.set({ security: { rbac_enabled: true } });
    expect(one.rejected).toBe(1);
    expect(one.document().security.jwt).toMatchObject(jwt);
    await expect(opened(memory({ security: { rbac_enabled: true } }))).rejects.toThrow(
      "nothing proves who calls",
    );
  });

  test("that is only right with one of another provider counts when that one comes", async () => {
    const [a, b] = [memory({}), memory({})];
    const one = await opened(a, b);
    a.set({ security: { rbac_enabled: true } });
    expect([one.rejected, one.document().security.rbac_enabled]).toEqual([1, false]);
    b.set({ security: { jwt: { secret: "a secret that is long enough for HS256" } } });
    expect([one.rejected, one.document().security.rbac_enabled]).toEqual([1, true]);
  });

  test("that is wrong does not hold up a change of another provider", async () => {
    const [a, b] = [memory({}), memory({})];
    const one = await opened(a, b);
    a.set({ qos: { max_timeout_ms: 0 } });
    b.set({ qos: { idempotency_ttl_s: 9 } });
    expect(one.document().qos).toMatchObject({ idempotency_ttl_s: 9, max_timeout_ms: 300_000 });
    expect(one.rejected).toBe(1);
  });

  test("of a key that counts at the next start only is named, and the rest counts", async () => {
    const provider = memory({});
    const one = await opened(provider);
    provider.set({
      rpc: { base_path: "/other", services_dir: "/m" },
      tasks: { workers: 9, max: 5 },
      security: { tls: { required_for_rpc: true } },
      qos: { max_timeout_ms: 5 },
    });
    expect(one.document()).toMatchObject({
      rpc: { base_path: "/aduib_rpc", services_dir: "/m" },
      tasks: { workers: 9, max: 10_000 },
      security: { tls: { required_for_rpc: false } },
      qos: { max_timeout_ms: 5 },
    });
    expect(one.logged.join("")).toContain('["rpc.base_path","security.tls","tasks.max"]');
  });

  test("cannot come from where a provider may not say it", async () => {
    await expect(opened({ provider: memory({ config: { etcd: {} } }), without: ["config"] })).rejects.toThrow(
      "config cannot be said there",
    );
    const provider = memory({ observability: { log_level: "warn" } });
    const one = await opened({ provider, without: ["observability.audit_file"] });
    provider.set({ observability: { audit_file: "/root/.profile" } });
    expect([one.rejected, one.document().observability.audit_file]).toEqual([1, undefined]);
  });
});

test("versions that nobody could speak are refused: they would be agreed on, and every call would fail", () => {
  for (const version of ["3.0", "1.0", "02.0", "2.00", "2", "2.0.1", ""])
    expect([version, rpcDocument.safeParse({ protocol: { supported_versions: [version] } }).success]).toEqual(
      [version, false],
    );
  expect(rpcDocument.safeParse({ protocol: { supported_versions: ["2.0", "2.10"] } }).success).toBe(true);
});
