// Figures of streams (contract 17.2): how many are open, and what frames went by.
import type { CounterSeries, Metrics } from "../../observability/metrics.ts";
import type { StreamMessageType } from "../wire/stream-message.ts";
import type { LiveStreams } from "./live-streams.ts";

const TYPES: readonly StreamMessageType[] = ["data", "partial", "heartbeat", "error", "end", "cancel", "ack"];

export class StreamFigures {
  readonly #frames: Readonly<Record<StreamMessageType, CounterSeries>>;

  constructor(metrics: Metrics, list: LiveStreams) {
    const frames = metrics.counter("rpc_stream_frames_total", "Frames of streams by type, either way", true);
    this.#frames = Object.fromEntries(TYPES.map((type) => [type, frames.of({ type })])) as Record<
      StreamMessageType,
      CounterSeries
    >;
    // What was counted once stays on the page: a gauge that vanishes is no 0.
    const seen = new Set<string>();
    metrics.gauge("rpc_streams_active", "Streams that are open").reportEach(() => {
      const open = list.byService();
      for (const service of open.keys()) seen.add(service);
      return [...seen].map((service) => [{ service }, open.get(service) ?? 0] as const);
    });
  }

  frame(type: StreamMessageType): void {
    this.#frames[type].add();
  }
}
