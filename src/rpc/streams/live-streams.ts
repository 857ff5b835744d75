// Streams that run on this node, for whoever lists them and for a stop, which ends them all.
import type { AdmittedStream } from "../pipeline/pipeline.ts";
import { LiveStream, type LiveStreamParts } from "./live-stream.ts";

export class LiveStreams {
  readonly #live = new Map<string, LiveStream>();

  /** `ended` is told of each, after it is off this list. */
  constructor(private readonly parts: LiveStreamParts) {}

  /** Made, and not run yet: its id is in the head of the answer. */
  open(admitted: AdmittedStream): LiveStream {
    const stream = new LiveStream(admitted, {
      ...this.parts,
      ended: (one, outcome) => {
        this.#live.delete(one.id);
        this.parts.ended(one, outcome);
      },
    });
    this.#live.set(stream.id, stream);
    return stream;
  }

  [Symbol.iterator](): Iterator<LiveStream> {
    return this.#live.values();
  }

  get size(): number {
    return this.#live.size;
  }

  /** The server stops: clients come back elsewhere, or later. */
  shutdown(): void {
    for (const stream of [...this.#live.values()]) stream.shutdown();
  }
}
