// The catalogue of what one stranger, one address or one account can take from the others. Each refusal is counted under the bound's
// name, and the log has a sentence about it: the first at once, then one every ten seconds with how many there were.
import type { Logger } from "pino";
import type { CounterSeries, Metrics } from "../observability/metrics.ts";

/** Name of a bound as the metric has it, and what the log says when it refuses. */
export type BoundCatalogue = Readonly<Record<string, string>>;

/** Of all protocols together; their sizes are in settings.ts. A protocol brings its own with its manifest. */
export const BOUNDS = {
  "connections-per-address": "an address holds too many connections; further ones were closed",
  descriptors: "file descriptors run out; connections of strangers were closed",
  handshakes: "too many sockets wait to be let in; the oldest were closed",
  "handshakes-per-address": "too many sockets of one address wait to be let in; the oldest were closed",
  "tls-handshakes": "too many TLS handshakes are under way; the longest of the address with most was ended",
  "tls-connections":
    "as many TLS connections are open as may be; a handshake was ended, or a newcomer refused",
  "anonymous-bytes": "an address sends too much without a token; it was refused",
  "anonymous-work": "an address costs too much work without a token; it was refused",
  "bodies-in-flight": "request bodies fill their share of memory; a request was asked to come again",
  "memory-in-flight": "bodies, answers and queues fill their share of memory; the largest was given up",
  "value-size": "a stored value was larger than permitted; it was refused",
  "json-depth": "a JSON text was nested too deeply; it was refused",
  "account-bytes": "an account stores as much as it may; something new was refused",
  "account-messages": "an account sends faster than it may; it was slowed down",
  "account-sockets": "an account holds as many sockets as it may; a further one was refused",
} as const satisfies BoundCatalogue;

const REPEAT_MS = 10_000;

export class Bounds {
  readonly #counts = new Map<string, CounterSeries>();
  readonly #quiet = new Map<string, { until: number; unsaid: number }>();

  constructor(
    metrics: Metrics,
    private readonly log: Logger,
    private readonly now: () => number = () => performance.now(),
    private readonly catalogue: BoundCatalogue = BOUNDS,
  ) {
    const counter = metrics.counter(
      "roost_bound_refusals_total",
      "What was refused because a bound was reached",
      true,
    );
    for (const name of Object.keys(catalogue)) this.#counts.set(name, counter.of({ bound: name }));
  }

  /** Counts one refusal, or several at once, and says it. `facts` name the address or account and the limit; never a secret or a content. */
  refused(name: string, facts: Readonly<Record<string, string | number | undefined>> = {}, times = 1): void {
    this.#counts.get(name)?.add(times);
    const now = this.now();
    const quiet = this.#quiet.get(name);
    if (quiet !== undefined && now < quiet.until) {
      quiet.unsaid++;
      return;
    }
    const since = quiet?.unsaid ?? 0;
    this.#quiet.set(name, { until: now + REPEAT_MS, unsaid: 0 });
    this.log.warn(
      { bound: name, ...facts, ...(since > 0 && { notLogged: since }) },
      this.catalogue[name] ?? name,
    );
  }

  /** Refusals so far. */
  count(name: string): number {
    return this.#counts.get(name)?.value ?? 0;
  }

  /** Refusals so far by name; only what is not zero. */
  counts(): Record<string, number> {
    return Object.fromEntries(
      [...this.#counts].flatMap(([name, { value }]) => (value === 0 ? [] : [[name, value]])),
    );
  }
}
