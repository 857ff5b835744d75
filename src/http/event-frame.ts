// One server-sent event as it goes out, made once for all its readers: its bytes, and what a gzip stream takes in for them, which is made
// when the first reader wants it.
import { type DeflatedPiece, deflatedPiece } from "./shared-gzip.ts";

/** How often something was made, whoever reads it. */
export interface FrameCounts {
  encoded: number;
  deflated: number;
}

const ENCODER = new TextEncoder();

export class EventFrame {
  readonly bytes: Uint8Array<ArrayBuffer>;
  #deflated: DeflatedPiece | undefined;

  /** `text`: the lines of the event, with the empty one at their end. */
  constructor(
    text: string,
    private readonly counts?: FrameCounts,
  ) {
    this.bytes = ENCODER.encode(text);
    if (counts !== undefined) counts.encoded++;
  }

  get deflated(): DeflatedPiece {
    if (this.#deflated === undefined) {
      this.#deflated = deflatedPiece(this.bytes);
      if (this.counts !== undefined) this.counts.deflated++;
    }
    return this.#deflated;
  }
}
