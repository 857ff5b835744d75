// The last events, for those who come back: bounded by their number and by their bytes. It knows what it does not have any more, so that
// nobody is told that nothing was missed when something was.
import type { EventFrame } from "../../http/event-frame.ts";
import type { Told } from "./filter.ts";

export interface Kept {
  readonly number: number;
  /** Whom it concerns. */
  readonly told: Told;
  readonly frame: EventFrame;
}

export const RING_EVENTS = 256;
/** Of text; what was compressed of it is smaller and comes beside it. */
export const RING_BYTES = 2 * 1024 * 1024;

export class Ring {
  /** In order, without a gap. */
  readonly #kept: Kept[] = [];
  #bytes = 0;
  #last = 0;

  /** The number of the newest, kept or not; 0 before the first. */
  get last(): number {
    return this.#last;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** `kept` has the next number. One that is larger than everything that may be kept is not, nor is anything before it. */
  keep(kept: Kept): void {
    this.#last = kept.number;
    this.#kept.push(kept);
    this.#bytes += kept.frame.bytes.byteLength;
    while (this.#kept.length > RING_EVENTS || this.#bytes > RING_BYTES)
      this.#bytes -= this.#kept.shift()?.frame.bytes.byteLength ?? 0;
  }

  /** Everything after `number`; undefined when some of it is gone, or `number` was never given. */
  after(number: number): readonly Kept[] | undefined {
    const first = this.#last - this.#kept.length;
    return number < first || number > this.#last ? undefined : this.#kept.slice(number - first);
  }
}
