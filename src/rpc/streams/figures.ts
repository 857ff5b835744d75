// Figures of streams (contract 17.2): how many are open, and what frames went by.
import type { CounterSeries, Metrics } from "../../observability/metrics.ts";
import type { StreamMessageType } from "../wire/stream-message.ts";
import type { LiveStream } from "./live-stream.ts";
import type { LiveStreams } from "./live-streams.ts";

const TYPES: readonly StreamMessageType[] = ["data", "partial", "heartbeat", "error", "end", "cancel", "ack"];

/** Names come from programs that bring methods, and go with them. */
const MAX_SERVICES = 1_000;

export class StreamFigures {
  readonly #services = new Set<string>();
  readonly #frames: Readonly<Record<StreamMessageType, CounterSeries>>;

  constructor(metrics: Metrics, list: LiveStreams) {
    const frames = metrics.counter("rpc_stream_frames_total", "Frames of streams by type, either way", true);
    this.#frames = Object.fromEntries(TYPES.map((type) => [type, frames.of({ type })])) as Record<
      StreamMessageType,
      CounterSeries
    >;
    metrics.gauge("rpc_streams_active", "Streams that are open").reportEach(() => {
      const open = list.byService();
      return [...this.#services].map((service) => [{ service }, open.get(service) ?? 0] as const);
    });
  }

  /** From now on its service is on the page, with 0 when none is open: a figure that vanishes is no 0. */
  opened({ call }: LiveStream): void {
    if (this.#services.size < MAX_SERVICES) this.#services.add(call.definition.service);
  }

  frame(type: StreamMessageType): void {
    this.#frames[type].add();
  }
}
