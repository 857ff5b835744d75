// An instance of a service, as it is registered and as it is told (contract 14).
import { z } from "zod";
import type { HealthStatus } from "../services/health.ts";

const SCHEMES = ["http", "https", "grpc", "grpcs", "jsonrpc", "jsonrpcs", "thrift"] as const;

/** As text: what it can do is a list of any things. */
export const MAX_INSTANCE_BYTES = 64 * 1024;

const text = (max: number) => z.string().min(1).max(max);
const words = (count: number) => z.array(z.string().max(256)).max(count);

/** A service's name is one that methods may have. */
const serviceName = z
  .string()
  .max(200)
  .regex(/^[A-Za-z]\w*(\.[A-Za-z]\w*)*$/, "is no name of a service");

const capabilities = z.object({
  protocol_versions: words(16).default(["2.0"]),
  content_types: words(16).default(["application/json"]),
  compressions: words(16).default(["none"]),
  streaming: z.boolean().default(false),
  bidirectional: z.boolean().default(false),
  methods: z.array(z.record(z.string(), z.unknown())).max(1_000).default([]),
});

/** Without its health, which nobody but this server's checks says. */
export const registration = z.object({
  instance_id: text(128),
  service_name: serviceName,
  version: z.string().max(64).default("1.0.0"),
  host: text(253),
  port: z.int().min(1).max(65_535),
  scheme: z.enum(SCHEMES).default("http"),
  weight: z.int().min(0).max(10_000).default(100),
  zone: z.string().max(128).nullish(),
  region: z.string().max(128).nullish(),
  capabilities: capabilities.prefault({}),
  metadata: z.record(z.string().max(128), z.string().max(1_024)).default({}),
  tags: words(32).default([]),
  ttl_seconds: z.int().min(1).max(86_400).default(30),
});
export type Registration = z.output<typeof registration>;

export interface ServiceInstance extends Registration {
  readonly health: HealthStatus;
  readonly last_health_check_ms: number | null;
  readonly registered_at_ms: number;
}
