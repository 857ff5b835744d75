// The original's own names (contract 16): a file that was written for it goes on working. What it says there moves to the key that has the
// same meaning here; what means nothing here is named to the person, with what is done instead.
import { type Fields, isFields } from "../wire/problems.ts";

export interface Renamed {
  readonly fields: Fields;
  /** Sentences for the log. */
  readonly notes: readonly string[];
}

type Convert = (value: unknown) => unknown;

const seconds: Convert = (value) => (typeof value === "number" ? Math.round(value * 1_000) : value);
const words: Convert = (value) =>
  typeof value === "string"
    ? value
        .split(",")
        .map((word) => word.trim())
        .filter(Boolean)
    : value;
const LEVELS: Readonly<Record<string, string>> = { warning: "warn", critical: "error" };
const level: Convert = (value) => {
  if (typeof value !== "string") return value;
  const lower = value.toLowerCase();
  return LEVELS[lower] ?? lower;
};
const format: Convert = (value) => (value === "console" ? "text" : value);
const VERIFICATION = ["none", "optional", "required"];
const verification: Convert = (value) => {
  if (typeof value === "number") return VERIFICATION[value] ?? value;
  if (typeof value !== "string") return value;
  const word = value
    .trim()
    .toLowerCase()
    .replace(/^cert_/, "");
  return VERIFICATION[/^\d$/.test(word) ? Number(word) : -1] ?? word;
};
const tlsVersion: Convert = (value) =>
  typeof value === "string" ? value.replace(/^TLSv1_(\d)$/i, "TLSv1.$1") : value;
const required: Convert = (isOn) => (isOn === true ? "required" : isOn === false ? "none" : isOn);
/** Versions before the second are not served; a list of them all said so of itself. */
const served: Convert = (value) =>
  Array.isArray(value) ? value.map(String).filter((version) => /^([2-9]|\d{2,})\./.test(version)) : value;
const off: Convert = (isOn) => (isOn === false ? false : undefined);

/** From the original's name to ours; the first of two that say the same counts. */
const MOVED: readonly (readonly [from: string, to: string, convert?: Convert])[] = [
  ["protocol.protocol_versions", "protocol.supported_versions", served],
  ["resilience.rate_limiter.enabled", "resilience.rate_limit.enabled"],
  ["resilience.rate_limiter.algorithm", "resilience.rate_limit.algorithm"],
  ["resilience.rate_limiter.rate", "resilience.rate_limit.rate"],
  ["resilience.rate_limiter.burst", "resilience.rate_limit.burst"],
  ["resilience.circuit_breaker.timeout_seconds", "resilience.circuit_breaker.timeout_ms", seconds],
  ["resilience.bulkhead.max_wait_seconds", "resilience.bulkhead.max_wait_ms", seconds],
  ["security.rbac", "security.rbac_enabled"],
  ["security.audit", "security.audit_enabled"],
  ["security.mtls.tls.client_cert_verification", "security.tls.client_cert_verification"],
  ["security.mtls.enabled", "security.tls.client_cert_verification", required],
  ["security.mtls.allowed_common_names", "security.tls.allowed_subject_cns", words],
  ["security.mtls.allowed_san_dns", "security.tls.allowed_san_dns", words],
  ["security.mtls.allowed_issuer_common_names", "security.tls.allowed_issuer_cns", words],
  ["telemetry.service_name", "observability.service_name"],
  ["telemetry.otlp_endpoint", "tracing.otlp_endpoint"],
  ["telemetry.otlp_headers", "tracing.otlp_headers"],
  ["telemetry.sample_ratio", "tracing.sample_ratio"],
  ["telemetry.metrics_enabled", "observability.metrics_enabled"],
  ["telemetry.log_level", "observability.log_level"],
  ["telemetry.log_format", "observability.log_format"],
  ["telemetry.audit_enabled", "security.audit_enabled"],
  ["telemetry.audit_include_params", "observability.audit_params"],
  ["telemetry.audit_include_response", "observability.audit_response"],
  ["health_check.interval_seconds", "discovery.check_interval_ms", seconds],
  ["health_check.timeout_seconds", "discovery.check_timeout_ms", seconds],
  ["health_check.healthy_threshold", "discovery.healthy_threshold"],
  ["health_check.unhealthy_threshold", "discovery.unhealthy_threshold"],
  ["qos.timeout_ms", "qos.default_timeout_ms"],
];

/** Each of the second from the first, when that is false. */
const SWITCHED_OFF: readonly (readonly [from: string, to: readonly string[]])[] = [
  [
    "resilience.enabled",
    ["rate_limit", "bulkhead", "circuit_breaker", "retry"].map((guard) => `resilience.${guard}.enabled`),
  ],
  ["telemetry.enabled", ["observability.metrics_enabled", "security.audit_enabled"]],
];

/** Of the original's values under names that are also ours. */
const CONVERTED: readonly (readonly [place: string, convert: Convert])[] = [
  ["observability.log_level", level],
  ["observability.log_format", format],
  ["security.anonymous_methods", words],
  ...["security.tls", "security.tls.http", "security.tls.grpc"].flatMap((tls): [string, Convert][] => [
    [`${tls}.client_cert_verification`, verification],
    [`${tls}.minimum_version`, tlsVersion],
    [`${tls}.maximum_version`, tlsVersion],
  ]),
];

const ALWAYS_EXPORTED = "spans leave when tracing.otlp_endpoint is set, over HTTP";
const BY_THE_CALLER = "a caller asks for it in the qos of its call";
const UNUSED: Readonly<Record<string, string>> = {
  client: "this is the server's document",
  "protocol.default_version": "a call without a list of versions has the one that its envelope names",
  "resilience.rate_limiter.wait_timeout_ms": "a call over the limit is refused at once",
  "resilience.circuit_breaker.excluded_exceptions":
    "faults of the server count, mistakes of callers never do",
  "resilience.fallback": "a fallback belongs to its method",
  "health_check.path": "an instance is asked by its own health service",
  "telemetry.otlp_protocol": ALWAYS_EXPORTED,
  "telemetry.metrics_export_interval_ms": "figures are read at /metrics",
  "telemetry.logging_enabled": "the server's own settings decide about its log",
  "telemetry.instrument_fastapi": ALWAYS_EXPORTED,
  "telemetry.instrument_httpx": ALWAYS_EXPORTED,
  "telemetry.instrument_grpc": ALWAYS_EXPORTED,
  "qos.enabled": "what a call asks for always acts",
  "qos.priority": BY_THE_CALLER,
  "qos.idempotency_key": BY_THE_CALLER,
  "qos.retry": BY_THE_CALLER,
  ...Object.fromEntries(
    [
      "max_attempts",
      "initial_delay_ms",
      "max_delay_ms",
      "backoff_multiplier",
      "jitter",
      "strategy",
      "retryable_codes",
    ].map((key) => [`resilience.retry.${key}`, BY_THE_CALLER]),
  ),
};

/** @throws Error with a sentence where one thing is said twice. */
export function renamed(given: Fields): Renamed {
  const fields = copied(given);
  const notes: string[] = [];
  spreadSwitches(fields);
  withoutSpans(fields);
  for (const [place, instead] of Object.entries(UNUSED)) {
    if (take(fields, place) !== undefined) notes.push(`${place} means nothing here: ${instead}`);
  }
  const came = new Map<string, string>();
  for (const [from, to, convert] of MOVED) {
    const value = take(fields, from);
    if (value === undefined) continue;
    const first = came.get(to);
    // Of two names of the original the more exact one stands first in the list.
    if (first !== undefined) continue;
    if (look(fields, to) !== undefined)
      throw new Error(`${from} and ${to} say the same: keep one of the two`);
    came.set(to, from);
    put(fields, to, convert === undefined ? value : convert(value));
  }
  for (const [from, targets] of SWITCHED_OFF) {
    const value = off(take(fields, from));
    if (value !== undefined) for (const to of targets) put(fields, to, value);
  }
  moveTls(fields);
  for (const [place, convert] of CONVERTED) {
    const value = look(fields, place);
    if (value !== undefined) put(fields, place, convert(value));
  }
  for (const section of [
    "telemetry",
    "health_check",
    "security.mtls.tls",
    "security.mtls",
    "resilience.rate_limiter",
  ])
    dropEmpty(fields, section);
  return { fields, notes };
}

/** A section that is only a switch, and a limiter that is written down and therefore meant. */
function spreadSwitches(fields: Fields): void {
  for (const section of ["telemetry", "security.mtls"]) {
    const value = look(fields, section);
    if (typeof value === "boolean") put(fields, section, { enabled: value });
  }
  const limiter = look(fields, "resilience.rate_limiter");
  if (isFields(limiter) && limiter.enabled === undefined)
    put(fields, "resilience.rate_limiter.enabled", true);
}

function withoutSpans(fields: Fields): void {
  const isTraced = take(fields, "telemetry.tracing_enabled");
  const isOn = look(fields, "telemetry.enabled");
  if (isTraced === false || isOn === false) take(fields, "telemetry.otlp_endpoint");
}

function moveTls(fields: Fields): void {
  const tls = look(fields, "security.mtls.tls");
  if (!isFields(tls)) return;
  for (const [key, value] of Object.entries(tls)) {
    const to = `security.tls.${key}`;
    if (look(fields, to) !== undefined)
      throw new Error(`security.mtls.tls.${key} and ${to} say the same: keep one of the two`);
    put(fields, to, value);
    take(fields, `security.mtls.tls.${key}`);
  }
}

type Mutable = Record<string, unknown>;

function copied(value: Fields): Mutable {
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, isFields(item) ? copied(item) : item]),
  );
}

/** Undefined where nothing is said. `place`: a dotted key. */
export function look(fields: Fields, place: string): unknown {
  let value: unknown = fields;
  for (const key of place.split(".")) {
    if (!isFields(value) || !Object.hasOwn(value, key)) return undefined;
    value = value[key];
  }
  return value;
}

function take(fields: Fields, place: string): unknown {
  const value = look(fields, place);
  const keys = place.split(".");
  const last = keys.pop() ?? "";
  const around = keys.length === 0 ? fields : look(fields, keys.join("."));
  if (value !== undefined && isFields(around)) delete (around as Mutable)[last];
  return value;
}

function put(fields: Fields, place: string, value: unknown): void {
  const keys = place.split(".");
  const last = keys.pop() ?? "";
  let around = fields as Mutable;
  for (const key of keys) {
    const next = around[key];
    // What stands there is no section: the schema says so.
    if (next !== undefined && !isFields(next)) return;
    if (next === undefined) around[key] = {};
    around = around[key] as Mutable;
  }
  around[last] = value;
}

/** A section that is left over because everything in it moved. */
function dropEmpty(fields: Fields, place: string): void {
  const value = look(fields, place);
  if (isFields(value) && Object.keys(value).length === 0) take(fields, place);
}

/** Names of the original below a place, for whoever mistypes one. */
export const ORIGINAL_PLACES: readonly string[] = [...MOVED.map(([from]) => from), ...Object.keys(UNUSED)];
