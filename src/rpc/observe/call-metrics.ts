// Figures of calls (contract 17.2) in the house's registry. Labels are what this server serves, never what a caller made up: an unknown
// method is "unknown", a tenant is no label, and what programs bring and take away is bounded.
import type { CounterSeries, HistogramSeries, Metrics } from "../../observability/metrics.ts";
import type { GuardKey } from "../document/document.ts";
import type { Call } from "../pipeline/call.ts";
import type { Outcome } from "../pipeline/outcome.ts";
import type { Registry } from "../registry/registry.ts";

const DURATIONS_MS = [1, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000];
const SIZES = [256, 1_024, 4_096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 16_777_216];
const UNKNOWN = "unknown";
/** Of methods and of services that were ever called: what comes later is "other". */
const MAX_NAMES = 1_000;
/** Of one method: a handler may make up codes. */
const MAX_CODES = 64;
const OTHER = "other";

interface MethodSeries {
  readonly service: string;
  readonly method: string;
  readonly requests: Map<string, CounterSeries>;
  readonly durations: Map<string, HistogramSeries>;
  readonly errors: Map<number, CounterSeries>;
  readonly further: Map<Further, CounterSeries>;
}

interface ServiceSeries {
  active: number;
  readonly requestSize: HistogramSeries;
  readonly responseSize: HistogramSeries;
}

type Further = "retries" | "replays" | "late" | "deprecated";

export interface GuardFigures {
  breakers(): Iterable<readonly [name: string, state: "closed" | "half_open" | "open"]>;
  bulkheads(): Iterable<{ readonly key: string; readonly active: number; readonly queued: number }>;
  /** What the parts of a key are, as the document says now. */
  readonly dimensions: () => {
    readonly breakers: readonly GuardKey[];
    readonly bulkheads: readonly GuardKey[];
  };
}

export class CallMetrics {
  readonly #methods = new Map<string, MethodSeries>();
  readonly #services = new Map<string, ServiceSeries>();
  readonly #requests;
  readonly #durations;
  readonly #requestSizes;
  readonly #responseSizes;
  readonly #errors;
  readonly #rateLimit;
  readonly #cancelled;
  readonly #further;

  constructor(
    metrics: Metrics,
    private readonly registry: Pick<Registry, "hasService">,
  ) {
    const counter = (name: string, help: string) => metrics.counter(name, help, true);
    this.#requests = counter("rpc_requests_total", "Calls that were answered");
    this.#durations = metrics.histogram(
      "rpc_request_duration_ms",
      "Milliseconds from a call to its answer",
      DURATIONS_MS,
      true,
    );
    this.#requestSizes = metrics.histogram(
      "rpc_request_size_bytes",
      "Bytes of calls on the wire",
      SIZES,
      true,
    );
    this.#responseSizes = metrics.histogram(
      "rpc_response_size_bytes",
      "Bytes of answers on the wire",
      SIZES,
      true,
    );
    this.#errors = counter("rpc_errors_total", "Calls that were answered with an error, by its code");
    this.#rateLimit = counter("rpc_rate_limit_total", "Calls that a limiter was asked about");
    this.#cancelled = counter("rpc_cancelled_total", "Calls that their client ended");
    this.#further = {
      retries: counter("rpc_retry_total", "Further attempts of calls"),
      replays: counter("rpc_idempotent_replays_total", "Answers that were given again for their key"),
      late: counter("rpc_late_results_total", "Results that came after their answer"),
      deprecated: counter("rpc_deprecated_calls_total", "Calls of methods that go away"),
    };
    metrics
      .gauge("rpc_active_requests", "Calls that run")
      .reportEach(() => [...this.#services].map(([service, { active }]) => [{ service }, active] as const));
  }

  /** @returns how it ends. */
  began(call: Call): () => void {
    const name = call.asked.method.service;
    const series = this.#service(this.registry.hasService(name) ? name : UNKNOWN);
    series.active++;
    return () => {
      series.active--;
    };
  }

  ended(call: Call, outcome: Outcome, durationMs: number, http: number): void {
    const series = this.#method(call);
    const { service, method } = series;
    const { status } = outcome;
    const key = `${status}${http}`;
    let requests = series.requests.get(key);
    if (requests === undefined) {
      requests = this.#requests.of({ service, method, status, http_status: String(http) });
      series.requests.set(key, requests);
    }
    requests.add();
    let durations = series.durations.get(status);
    if (durations === undefined) {
      durations = this.#durations.of({ service, method, status });
      series.durations.set(status, durations);
    }
    durations.observe(durationMs);
    this.#service(service).requestSize.observe(call.incoming.requestBytes);
  }

  /** Also of a call that a fallback answered after all (contract 12.4). */
  failed(call: Call, code: number): void {
    const { service, method, errors } = this.#method(call);
    let counted = errors.get(code);
    if (counted === undefined) {
      counted = this.#errors.of({ service, method, code: errors.size < MAX_CODES ? String(code) : OTHER });
      if (errors.size < MAX_CODES) errors.set(code, counted);
    }
    counted.add();
  }

  answered(call: Call, bytes: number): void {
    this.#service(this.#method(call).service).responseSize.observe(bytes);
  }

  rateLimited(call: Call, isAllowed: boolean): void {
    const { service } = this.#method(call);
    this.#rateLimit.add(1, { service, outcome: isAllowed ? "allowed" : "blocked" });
  }

  cancelled(call: Call, kind: "unary" | "stream"): void {
    this.#cancelled.add(1, { service: this.#method(call).service, kind });
  }

  further(call: Call, what: Further): void {
    const series = this.#method(call);
    let counted = series.further.get(what);
    if (counted === undefined) {
      const { service, method } = series;
      counted = this.#further[what].of(what === "retries" ? { service, method } : { method });
      series.further.set(what, counted);
    }
    counted.add();
  }

  #method(call: Call): MethodSeries {
    const name = call.method === undefined ? "" : call.methodName;
    const known = this.#methods.get(name);
    if (known !== undefined) return known;
    if (name !== "" && this.#methods.size >= MAX_NAMES) return this.#made(OTHER, OTHER, OTHER);
    return name === "" ? this.#made("", UNKNOWN, UNKNOWN) : this.#made(name, call.definition.service, name);
  }

  #made(key: string, service: string, method: string): MethodSeries {
    let series = this.#methods.get(key);
    if (series === undefined) {
      const empty = { requests: new Map(), durations: new Map(), errors: new Map(), further: new Map() };
      series = { service, method, ...empty };
      this.#methods.set(key, series);
    }
    return series;
  }

  #service(name: string): ServiceSeries {
    const known = this.#services.get(name);
    if (known !== undefined) return known;
    const service = this.#services.size < MAX_NAMES ? name : OTHER;
    let series = this.#services.get(service);
    if (series === undefined) {
      series = {
        active: 0,
        requestSize: this.#requestSizes.of({ service }),
        responseSize: this.#responseSizes.of({ service }),
      };
      this.#services.set(service, series);
    }
    return series;
  }
}

const STATES = { closed: 0, half_open: 1, open: 2 } as const;

/** Read when the page is made. Tenants and principals are left out: of all breakers that differ in them the worst counts. */
export function reportGuards(metrics: Metrics, guards: GuardFigures): void {
  metrics
    .gauge("rpc_circuit_breaker_state", "0 closed, 1 half open, 2 open; the worst of all tenants")
    .reportEach(() => {
      const worst = new Map<string, number>();
      for (const [key, state] of guards.breakers()) {
        const name = nameOf(key, guards.dimensions().breakers);
        worst.set(name, Math.max(worst.get(name) ?? 0, STATES[state]));
      }
      return [...worst].map(([name, state]) => [{ name }, state] as const);
    });
  const places = (name: string, help: string, of: (one: { active: number; queued: number }) => number) =>
    metrics.gauge(name, help).reportEach(() => {
      const sums = new Map<string, number>();
      for (const one of guards.bulkheads()) {
        const service = serviceOf(one.key, guards.dimensions().bulkheads);
        sums.set(service, (sums.get(service) ?? 0) + of(one));
      }
      return [...sums].map(([service, sum]) => [{ service }, sum] as const);
    });
  places("rpc_bulkhead_active", "Calls that have a place", ({ active }) => active);
  places("rpc_bulkhead_queued", "Calls that wait for a place", ({ queued }) => queued);
}

/** Names of services come from whoever registers instances. */
const MAX_INSTANCE_SERVICES = 200;

export interface InstanceFigure {
  readonly given: { readonly service_name: string };
  readonly health: string;
}

export function reportInstances(metrics: Metrics, entries: () => Iterable<InstanceFigure>): void {
  metrics.gauge("rpc_instances", "Instances that are registered, of all tenants").reportEach(() => {
    const services = new Map<string, Map<string, number>>();
    for (const { given, health } of entries()) {
      const isKnown = services.has(given.service_name) || services.size < MAX_INSTANCE_SERVICES;
      const service = isKnown ? given.service_name : OTHER;
      const counts = services.get(service) ?? new Map<string, number>();
      counts.set(health, (counts.get(health) ?? 0) + 1);
      services.set(service, counts);
    }
    return [...services].flatMap(([service, counts]) =>
      [...counts].map(([health, count]) => [{ service, health }, count] as const),
    );
  });
}

/** Of a guard's key: what callers cannot make up. */
function nameOf(key: string, dimensions: readonly GuardKey[]): string {
  const parts = key.split("|");
  // Made under another document.
  if (parts.length !== dimensions.length) return OTHER;
  const named = parts.filter((_part, at) => dimensions[at] === "service" || dimensions[at] === "method");
  return named.length === 0 ? "all" : named.join("|");
}

function serviceOf(key: string, dimensions: readonly GuardKey[]): string {
  const parts = key.split("|");
  if (parts.length !== dimensions.length) return OTHER;
  const service = parts[dimensions.indexOf("service")];
  if (service !== undefined) return service;
  const method = parts[dimensions.indexOf("method")];
  return method?.split("/").at(-2) ?? "all";
}
