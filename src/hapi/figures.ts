// What the hub counts for whoever watches it: who is connected, what is at work, how much is kept. No label says more than a kind.
import type { Metrics } from "../observability/metrics.ts";
import type { Broadcaster } from "./events/broadcaster.ts";
import type { HubCore } from "./hub/core.ts";
import type { HapiSockets } from "./realtime/sockets.ts";
import type { HapiStore } from "./store/contract.ts";

export interface FiguresParts {
  readonly metrics: Metrics;
  readonly sockets: Pick<HapiSockets, "counts">;
  readonly events: Pick<Broadcaster, "size">;
  readonly core: Pick<HubCore, "sessions" | "machines">;
  readonly store: Pick<HapiStore, "countRecords">;
}

/** Counting rows reads an index: not at every look. */
const COUNT_EVERY_MS = 60_000;

export function reportFigures({ metrics, sockets, events, core, store }: FiguresParts): void {
  metrics
    .gauge("roost_hapi_sockets", "Sockets of HAPI's clients, by their namespace")
    .reportEach(() => Object.entries(sockets.counts()).map(([namespace, count]) => [{ namespace }, count]));
  metrics
    .gauge("roost_hapi_event_streams", "Streams of events that HAPI's web clients read")
    .report(() => events.size);
  metrics.gauge("roost_hapi_present", "Sessions at work and machines that are heard").reportEach(() => [
    [{ kind: "sessions" }, present(core.sessions.all)],
    [{ kind: "machines" }, present(core.machines.all)],
  ]);
  let counts: (readonly [{ readonly kind: string }, number])[] = [];
  let countedAt = Number.NEGATIVE_INFINITY;
  metrics
    .gauge(
      "roost_hapi_records",
      "What HAPI keeps: namespaces, sessions, machines, messages; at most a minute old",
    )
    .reportAsked(async () => {
      if (performance.now() - countedAt >= COUNT_EVERY_MS) {
        counts = Object.entries(await store.countRecords()).map(([kind, count]) => [{ kind }, count]);
        countedAt = performance.now();
      }
      return counts;
    });
}

function present(all: Iterable<{ readonly presence: { readonly active: boolean } }>): number {
  let count = 0;
  for (const { presence } of all) if (presence.active) count++;
  return count;
}
