// What the Happy protocol counts, under the original's names and with its label app="happy-server" (HTTP contract 3.5, realtime
// contract 17). Every label is one of a bounded set.
import type { CounterSeries, Labels, Metrics } from "../observability/metrics.ts";
import type { ClientLabel } from "../ops/client-label.ts";
import type { RelayFailure, RelayOutcome } from "../relay/outcome.ts";
import { clientLabel, REQUEST_LABELS } from "./client.ts";
import type { PresenceMetrics } from "./presence/presence.ts";

const APP = { app: REQUEST_LABELS.app };
/** What the original counts; the rest would be noise. */
const COUNTED = [
  "session-alive",
  "message",
  "machine-alive",
  "artifact-read",
  "artifact-update",
  "artifact-create",
  "artifact-delete",
  "disconnect",
] as const;
const PUSH_OUTCOMES = ["sent", "partial", "failed", "suppressed", "no_tokens"] as const;
/** Counting rows reads an index: not at every look. */
const COUNT_EVERY_MS = 60_000;
/** Methods that had a target once; every other one is "other". */
const MAX_METHODS = 64;

export class HappyMetrics implements PresenceMetrics {
  /** client -> event */
  readonly #events = new Map<ClientLabel, Map<string, CounterSeries>>();
  readonly #eventsTotal;
  readonly #alive: ReadonlyMap<string, CounterSeries>;
  readonly #skipped;
  readonly #pushes;
  readonly #ownership;
  readonly #rpcCalls;
  readonly #rpcSeconds;
  readonly #methods = new Set<string>();
  readonly #rpcLabels = new Map<string, Labels>();

  constructor(private readonly metrics: Metrics) {
    this.#eventsTotal = metrics.counter("websocket_events_total", "Socket events of clients", true);
    this.#alive = new Map([
      [
        "session-alive",
        metrics.counter("session_alive_events_total", "Heartbeats of sessions", true).of(APP),
      ],
      [
        "machine-alive",
        metrics.counter("machine_alive_events_total", "Heartbeats of machines", true).of(APP),
      ],
    ]);
    const skipped = metrics.counter(
      "database_updates_skipped_total",
      "Heartbeats that were not worth a write",
      true,
    );
    this.#skipped = {
      session: skipped.of({ ...APP, type: "session" }),
      machine: skipped.of({ ...APP, type: "machine" }),
    };
    const ownership = metrics.counter(
      "session_cache_operations_total",
      "Heartbeats whose owner was remembered (hit) or looked up (miss)",
      true,
    );
    const asked = (operation: string) => ({
      hit: ownership.of({ ...APP, operation, result: "hit" }),
      miss: ownership.of({ ...APP, operation, result: "miss" }),
    });
    this.#ownership = { session: asked("session_validation"), machine: asked("machine_validation") };
    const pushes = metrics.counter("roost_pushes_total", "Decisions about push notifications", true);
    this.#pushes = new Map(PUSH_OUTCOMES.map((outcome) => [outcome as string, pushes.of({ outcome })]));
    this.#rpcCalls = metrics.counter("rpc_calls_total", "Calls between clients", true);
    this.#rpcSeconds = metrics.histogram(
      "rpc_call_duration_seconds",
      "Seconds of calls between clients",
      [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 15, 30],
      true,
    );
  }

  /** Rows of each table are counted now and then, when the page is asked for. */
  reportRecords(count: () => Promise<Readonly<Record<string, number>>>): void {
    let counts: (readonly [Labels, number])[] = [];
    let countedAt = Number.NEGATIVE_INFINITY;
    this.metrics.gauge("database_records_total", "Rows, at most a minute old").reportAsked(async () => {
      if (Date.now() - countedAt >= COUNT_EVERY_MS) {
        const rows = Object.entries(await count());
        counts = rows.map(([table, number]) => [{ ...APP, table }, number] as const);
        countedAt = Date.now();
      }
      return counts;
    });
  }

  /** @param sockets what is connected at the time of the look: declared scope and client. */
  reportSockets(sockets: () => Iterable<{ readonly type: string; readonly client: string }>): void {
    const labels = new Map<ClientLabel, Map<string, Labels>>();
    const gauge = this.metrics.gauge("websocket_connections_total", "Sockets that are connected");
    gauge.reportEach(() => {
      const counts = new Map<Labels, number>();
      for (const { type, client } of sockets()) {
        const label = clientLabel(client);
        const ofClient = labels.get(label) ?? new Map<string, Labels>();
        labels.set(label, ofClient);
        const found = ofClient.get(type) ?? { ...APP, type, ...label };
        ofClient.set(type, found);
        counts.set(found, (counts.get(found) ?? 0) + 1);
      }
      return counts;
    });
  }

  /** The counters of one connection's client, looked up once; call it with each event. */
  eventsOf(client: string): (event: string) => void {
    const label = clientLabel(client);
    let series = this.#events.get(label);
    if (series === undefined) {
      series = new Map();
      for (const event of COUNTED)
        series.set(event, this.#eventsTotal.of({ ...APP, event_type: event, ...label }));
      this.#events.set(label, series);
    }
    const counted = series;
    return (event) => {
      counted.get(event)?.add();
      this.#alive.get(event)?.add();
    };
  }

  ownershipAsked(kind: "session" | "machine", remembered: boolean): void {
    this.#ownership[kind][remembered ? "hit" : "miss"].add();
  }

  heartbeatSkipped(kind: "session" | "machine"): void {
    this.#skipped[kind].add();
  }

  pushed(outcome: string): void {
    this.#pushes.get(outcome)?.add();
  }

  /** Names of methods are the clients' own words: one is believed after a target has answered to it, and only so many are. */
  called(method: string, outcome: RelayOutcome, ms: number): void {
    const name = method.slice(method.lastIndexOf(":") + 1);
    if (outcome.ok && this.#methods.size < MAX_METHODS && /^[\w-]{1,40}$/.test(name)) this.#methods.add(name);
    const known = this.#methods.has(name) ? name : "other";
    const result = outcome.ok ? "success" : RESULTS[outcome.code];
    const key = `${known} ${result}`;
    let labels = this.#rpcLabels.get(key);
    if (labels === undefined) {
      labels = { ...APP, method: known, result };
      this.#rpcLabels.set(key, labels);
    }
    this.#rpcCalls.add(1, labels);
    this.#rpcSeconds.of(labels).observe(ms / 1_000);
  }
}

const RESULTS: Readonly<Record<RelayFailure, string>> = {
  "not-available": "not_available",
  "own-method": "self_call",
  "timed-out": "timeout",
  disconnected: "target_disconnected",
  "params-too-large": "internal_error",
  "answer-too-large": "internal_error",
  "too-many": "internal_error",
};
