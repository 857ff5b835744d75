// The document that says how the room behaves (contract 16), checked whole: a document that is wrong anywhere changes nothing. One request
// sees one snapshot of it.
import { z } from "zod";
import { parseRanges } from "../../server/client-address.ts";
import { isTenant } from "../wire/request-metadata.ts";
import { protocolVersion } from "../wire/version.ts";

const KEYS = ["tenant", "service", "method", "principal"] as const;
export type GuardKey = (typeof KEYS)[number];

const NO_RANGE = "is no address and no range such as 10.0.0.0/8";

function isRange(text: string): boolean {
  try {
    return parseRanges([text]).length === 1;
  } catch {
    return false;
  }
}

const whole = (min: number, max = Number.MAX_SAFE_INTEGER) => z.int().min(min).max(max);
const key = (...standard: GuardKey[]) => z.array(z.enum(KEYS)).min(1).default(standard);
/** Another major version is another protocol. */
const isServed = (version: string): boolean => protocolVersion(version)?.major === 2;
const versions = z.array(z.string().refine(isServed, "is no version 2.x of the protocol")).min(1);

export const CONTENT_TYPES = [
  "application/json",
  "application/msgpack",
  "application/protobuf",
  "application/avro",
] as const;
export const COMPRESSIONS = ["gzip", "zstd", "lz4"] as const;
export const STREAM_SHAPES = ["message", "response"] as const;
export type ContentType = (typeof CONTENT_TYPES)[number];
export type Compression = (typeof COMPRESSIONS)[number];
export type StreamShape = (typeof STREAM_SHAPES)[number];

// Of a guard: what one override may say, and what holds where nothing says anything.
const limits = {
  rate_limit: {
    algorithm: z.enum(["token_bucket", "sliding_window", "fixed_window"]),
    rate: z.number().positive().max(1_000_000),
    burst: whole(1, 1_000_000),
  },
  bulkhead: {
    max_concurrent: whole(1, 1_000_000),
    max_wait_ms: whole(0, 3_600_000),
    queue_depth: whole(0, 1_000_000),
  },
  circuit_breaker: {
    failure_threshold: whole(1, 1_000_000),
    success_threshold: whole(1, 1_000_000),
    timeout_ms: whole(1, 86_400_000),
    half_open_max_calls: whole(1, 1_000),
  },
};
const rateLimit = {
  algorithm: limits.rate_limit.algorithm.default("token_bucket"),
  rate: limits.rate_limit.rate.default(100),
  burst: limits.rate_limit.burst.default(150),
};
const bulkhead = {
  max_concurrent: limits.bulkhead.max_concurrent.default(64),
  max_wait_ms: limits.bulkhead.max_wait_ms.default(5_000),
  queue_depth: limits.bulkhead.queue_depth.default(128),
};
const breaker = {
  failure_threshold: limits.circuit_breaker.failure_threshold.default(5),
  success_threshold: limits.circuit_breaker.success_threshold.default(3),
  timeout_ms: limits.circuit_breaker.timeout_ms.default(30_000),
  half_open_max_calls: limits.circuit_breaker.half_open_max_calls.default(3),
};
/** By the name of a service, or of a whole method, which wins. */
const overrides = <T extends z.ZodRawShape>(shape: T) =>
  z.record(z.string(), z.strictObject({ enabled: z.boolean(), ...shape }).partial()).default({});

const permission = z.strictObject({ resource: z.string(), action: z.string() });
const role = z.strictObject({
  name: z.string(),
  permissions: z.array(permission).default([]),
  allowed_methods: z.array(z.string()).default([]),
  denied_methods: z.array(z.string()).default([]),
});
const apiKey = z.strictObject({
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  principal: z.string().min(1).max(256),
  type: z.string().default("api_key"),
  roles: z.array(z.string()).default([]),
  scopes: z.array(z.string()).default([]),
  tenant: z.string().refine(isTenant, "is no tenant").optional(),
});
const jwt = z.strictObject({
  secret: z.string().min(1),
  issuer: z.string().optional(),
  audience: z.string().optional(),
  principal_claim: z.string().default("sub"),
  roles_claim: z.string().default("roles"),
  scopes_claim: z.string().default("scope"),
  tenant_claim: z.string().default("tenant"),
  leeway_s: whole(0, 86_400).default(0),
});

const tlsKeys = {
  server_cert_path: z.string(),
  server_key_path: z.string(),
  server_key_password: z.string(),
  ca_cert_path: z.string(),
  server_cert: z.string(),
  server_key: z.string(),
  ca_cert: z.string(),
  crl_path: z.string(),
  client_cert_verification: z.enum(["none", "optional", "required"]),
  minimum_version: z.enum(["TLSv1.2", "TLSv1.3"]),
  maximum_version: z.enum(["TLSv1.2", "TLSv1.3"]),
  ciphers: z.string(),
  allowed_subject_cns: z.array(z.string()),
  allowed_san_dns: z.array(z.string()),
  allowed_issuer_cns: z.array(z.string()),
};
const tls = z
  .strictObject(tlsKeys)
  .partial()
  .extend({
    http: z.strictObject(tlsKeys).partial().optional(),
    grpc: z.strictObject(tlsKeys).partial().optional(),
    required_for_rpc: z.boolean().default(false),
    principal: z
      .strictObject({
        order: z.array(z.enum(["uri", "dns", "cn"])).default(["uri", "dns", "cn"]),
        type: z.string().default("service"),
        role_map: z.record(z.string(), z.array(z.string())).default({}),
      })
      .prefault({}),
    on_conflict: z.enum(["token", "cert", "reject"]).default("token"),
    trusted_proxy: z
      .strictObject({
        addresses: z.array(z.string().refine(isRange, NO_RANGE)).min(1),
        header: z.string().regex(/^[A-Za-z0-9-]+$/, "is no name of a header"),
      })
      .optional(),
  })
  .prefault({});

const section = <T extends z.ZodRawShape>(shape: T) => z.strictObject(shape).prefault({} as never);

export const rpcDocument = z.strictObject({
  rpc: section({
    base_path: z
      .string()
      .regex(/^(\/[A-Za-z0-9._~-]+)+$/)
      .default("/aduib_rpc"),
    services_dir: z.string().optional(),
    grpc: section({
      port: whole(0, 65_535).default(0),
      host: z.string().default("127.0.0.1"),
      reflection: z.boolean().default(false),
    }),
    tls: section({
      port: whole(0, 65_535).default(0),
      host: z.string().optional(),
      max_connections: whole(1, 1_000_000).default(1_000),
    }),
    thrift: section({ port: whole(0, 65_535).default(0), host: z.string().default("127.0.0.1") }),
  }),
  protocol: section({
    supported_versions: versions.default(["2.0"]),
    id_mode: z.enum(["string", "uuid4", "lenient"]).default("string"),
    content_types: z
      .array(z.enum(CONTENT_TYPES))
      .min(1)
      .default([...CONTENT_TYPES]),
    compressions: z.array(z.enum(COMPRESSIONS)).default([...COMPRESSIONS]),
    max_body_bytes: whole(1_024, 64 * 2 ** 20).default(4 * 2 ** 20),
    max_expanded_bytes: whole(1_024, 256 * 2 ** 20).default(16 * 2 ** 20),
  }),
  compression: section({ min_bytes: whole(0).default(0) }),
  server: section({ id: z.string().min(1).max(128).optional() }),
  stream: section({
    heartbeat_interval_ms: z.union([z.literal(0), whole(100, 3_600_000)]).default(15_000),
    ack_window: whole(0, 1_000_000).default(0),
    max_idle_ack_ms: whole(100, 86_400_000).default(60_000),
    resume_frames: whole(1, 100_000).default(1_000),
    shape: section({
      rest: z.enum(STREAM_SHAPES).default("message"),
      jsonrpc: z.enum(STREAM_SHAPES).default("message"),
      grpc: z.enum(STREAM_SHAPES).default("response"),
    }),
  }),
  qos: section({
    default_timeout_ms: whole(1, 86_400_000).default(30_000),
    max_timeout_ms: whole(1, 86_400_000).default(300_000),
    zombie_grace_ms: whole(0, 3_600_000).default(5_000),
    idempotency_ttl_s: whole(1, 31_536_000).default(300),
    idempotency_max_entries: whole(1, 10_000_000).default(1_000),
    /** Of all answers that are kept; one takes at most a quarter. */
    idempotency_max_bytes: whole(65_536, 2 ** 40).default(64 * 2 ** 20),
  }),
  idempotency: section({ store: z.enum(["auto", "memory", "sqlite", "redis"]).default("auto") }),
  resilience: section({
    rate_limit: section({
      enabled: z.boolean().default(false),
      ...rateLimit,
      key: key("tenant", "service"),
      overrides: overrides(limits.rate_limit),
    }),
    bulkhead: section({
      enabled: z.boolean().default(true),
      ...bulkhead,
      key: key("service"),
      overrides: overrides(limits.bulkhead),
      streams: section({ ...bulkhead, max_concurrent: limits.bulkhead.max_concurrent.default(256) }),
    }),
    circuit_breaker: section({
      enabled: z.boolean().default(true),
      ...breaker,
      key: key("service", "method", "tenant"),
      overrides: overrides(limits.circuit_breaker),
    }),
    retry: section({ enabled: z.boolean().default(true) }),
  }),
  security: section({
    require_auth: z.boolean().default(false),
    rbac_enabled: z.boolean().default(false),
    audit_enabled: z.boolean().default(true),
    default_role: z.string().default("anonymous"),
    superadmin_role: z.string().default("admin"),
    anonymous_methods: z
      .array(z.string())
      .default(["rpc.v2/HealthService/Check", "rpc.v2/HealthService/Watch"]),
    trust_metadata_identity: z.boolean().default(false),
    roles: z.array(role).default([]),
    jwt: jwt.optional(),
    api_keys: z.array(apiKey).default([]),
    tls,
  }),
  observability: section({
    log_level: z.enum(["debug", "info", "warn", "error"]).default("info"),
    log_format: z.enum(["json", "text"]).default("json"),
    sample_ratio: z.number().min(0).max(1).default(1),
    metrics_enabled: z.boolean().default(true),
    audit_params: z.boolean().default(false),
    audit_response: z.boolean().default(false),
    /** In the data folder unless it says otherwise; "-" is the server's own log. */
    audit_file: z
      .string()
      .min(1)
      .refine((name) => !/\.db(-wal|-shm|-journal)?$/i.test(name), "is a name of databases")
      .optional(),
    audit_max_bytes: whole(65_536, 2 ** 40).default(16 * 2 ** 20),
    /** Older files beside the present one. */
    audit_keep: whole(1, 1_000).default(5),
    service_name: z.string().default("roost"),
  }),
  tracing: section({
    sample_ratio: z.number().min(0).max(1).optional(),
    otlp_endpoint: z.url().optional(),
    otlp_headers: z.record(z.string(), z.string()).default({}),
  }),
  gateway: section({
    enabled: z.boolean().default(true),
    connect_timeout_ms: whole(1, 600_000).default(1_000),
    forward_credentials: z.boolean().default(false),
    max_hops: whole(1, 64).default(3),
  }),
  config: section({
    etcd: z.strictObject({ key: z.string().default("/roost/rpc/config") }).optional(),
    nacos: z
      .strictObject({
        server_addresses: z.union([z.string(), z.array(z.string())]),
        namespace: z.string().optional(),
        username: z.string().optional(),
        password: z.string().optional(),
        data_id: z.string(),
        group: z.string().default("DEFAULT_GROUP"),
      })
      .optional(),
  }),
  registry: section({ deprecated_policy: z.enum(["warn", "error", "ignore"]).default("warn") }),
  tasks: section({
    workers: whole(1, 1_000).default(4),
    max: whole(1, 10_000_000).default(10_000),
    /** Of params, results and the rest of all tasks. */
    max_bytes: whole(65_536, 2 ** 40).default(256 * 2 ** 20),
    ttl_s: whole(1, 31_536_000).default(3_600),
    store: z.enum(["auto", "memory", "sqlite", "redis"]).default("auto"),
    redis_url: z.string().optional(),
    long_task_compat: z.boolean().default(false),
  }),
  /** Threads for methods that block, of all services together, and calls that wait for one. */
  cpu: section({
    workers: whole(1, 256).default(2),
    queue_depth: whole(0, 100_000).default(64),
  }),
  discovery: section({
    allow_degraded: z.boolean().default(false),
    fallback_to_any: z.boolean().default(false),
    require_first_check: z.boolean().default(false),
    balancer: z.enum(["weighted_round_robin", "random", "consistent_hash"]).default("weighted_round_robin"),
    check_interval_ms: whole(50, 3_600_000).default(10_000),
    check_timeout_ms: whole(10, 600_000).default(5_000),
    healthy_threshold: whole(1, 100).default(2),
    unhealthy_threshold: whole(1, 100).default(3),
    allowed_targets: z
      .array(z.string().refine(isRange, NO_RANGE))
      .default(["127.0.0.0/8", "::1/128", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"]),
  }),
  debug: section({ enabled: z.boolean().optional() }),
});

export type RpcDocument = z.output<typeof rpcDocument>;

export const DEFAULT_DOCUMENT: RpcDocument = rpcDocument.parse({});
