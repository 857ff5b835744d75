// A frame as queues hold it: one value however many clients wait for it, so that its memory counts once.
import type { Payload } from "../bus/envelope.ts";
import type { Frame } from "./frame.ts";

/** The value, its text's header, and what an acknowledgement keeps alive. */
const OVERHEAD = 128;

export class QueuedFrame implements Frame {
  readonly data: Payload;
  readonly ack: Frame["ack"];
  /** Queues that hold it now; the budget counts. */
  holders = 0;
  #bytes = 0;

  constructor({ data, ack }: Frame) {
    this.data = data;
    this.ack = ack;
  }

  /** Memory that it takes. Reckoned once, when first asked. */
  get bytes(): number {
    if (this.#bytes === 0) this.#bytes = memoryOf(this.data);
    return this.#bytes;
  }
}

/** A text takes two bytes a character as soon as one of them needs it. */
export function memoryOf(data: string | Uint8Array): number {
  if (typeof data !== "string") return OVERHEAD + data.byteLength;
  return OVERHEAD + (Buffer.byteLength(data) === data.length ? data.length : 2 * data.length);
}
