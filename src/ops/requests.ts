// What is kept about each finished HTTP request: its figures under the names that dashboards of the original know, and one log line.
// Only templates and bounded words get in: never a path, a query, a header or a body.
import type { Logger } from "pino";
import type {
  Counter,
  CounterSeries,
  Histogram,
  HistogramSeries,
  Metrics,
} from "../observability/metrics.ts";
import type { RequestFacts } from "../server/request-facts.ts";
import { type ClientLabel, OTHER_CLIENT, UNKNOWN_CLIENT } from "./client-label.ts";

const METHODS = new Set(["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"]);
/** Sets of labels; what comes later is counted without its client. */
const MAX_SERIES = 1_000;

/** What a protocol says about the figures of requests. */
export interface RequestLabels {
  /** Value of the label `app`. */
  readonly app: string;
  /** One of a bounded set. */
  readonly clientOf: (request: Request) => ClientLabel;
}

/** Where no protocol has a word. */
const NAMELESS: RequestLabels = { app: "roost", clientOf: () => UNKNOWN_CLIENT };

interface Series {
  readonly total: CounterSeries;
  readonly duration: HistogramSeries;
}

export class Requests {
  readonly #total: Counter;
  readonly #duration: Histogram;
  /** client -> route -> method -> status: each step is a look-up that allocates nothing. */
  readonly #series = new Map<string, Map<string, Map<string, Map<number, Series>>>>();
  #size = 0;

  constructor(
    metrics: Metrics,
    private readonly log: Logger,
    private readonly labels: RequestLabels = NAMELESS,
  ) {
    this.#total = metrics.counter("http_requests_total", "HTTP requests that were answered", true);
    this.#duration = metrics.histogram(
      "http_request_duration_seconds",
      "Seconds from an HTTP request to its answer",
      [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10],
      true,
    );
  }

  /** Never throws: whoever was answered does not suffer from a full disk of the log. */
  finished(request: Request, facts: RequestFacts, status: number, ms: number): void {
    try {
      this.#finished(request, facts, status, ms);
    } catch {
      // There is nobody left to tell.
    }
  }

  #finished(request: Request, facts: RequestFacts, status: number, ms: number): void {
    const method = METHODS.has(request.method) ? request.method : "OTHER";
    const route = facts.route ?? (method === "OPTIONS" ? "preflight" : "unknown");
    const client = this.labels.clientOf(request);
    const { total, duration } = this.#find(client, route, method, status);
    total.add();
    duration.observe(ms / 1_000);
    const level = status >= 500 ? "info" : "debug";
    if (!this.log.isLevelEnabled(level)) return;
    const line = {
      method,
      route,
      status,
      ms: Math.round(ms * 10) / 10,
      request: facts.id,
      client: client.client,
    };
    this.log[level](line, "request");
  }

  #find(client: ClientLabel, route: string, method: string, status: number): Series {
    return (
      this.#series.get(client.client)?.get(route)?.get(method)?.get(status) ??
      this.#make(this.#size < MAX_SERIES ? client : OTHER_CLIENT, route, method, status)
    );
  }

  #make(client: ClientLabel, route: string, method: string, status: number): Series {
    const routes = inner(this.#series, client.client);
    const statuses = inner(inner(routes, route), method);
    let series = statuses.get(status);
    if (series === undefined) {
      const labels = { app: this.labels.app, method, route, status: String(status), ...client };
      series = { total: this.#total.of(labels), duration: this.#duration.of(labels) };
      statuses.set(status, series);
      this.#size++;
    }
    return series;
  }
}

function inner<K, V>(outer: Map<string, Map<K, V>>, key: string): Map<K, V> {
  let map = outer.get(key);
  if (map === undefined) {
    map = new Map();
    outer.set(key, map);
  }
  return map;
}
