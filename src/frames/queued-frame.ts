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

  /** Memory that it takes: a text takes two bytes a character as soon as one of them needs it. Reckoned once, when first asked. */
  get bytes(): number {
    if (this.#bytes === 0) this.#bytes = OVERHEAD + memoryOf(this.data);
    return this.#bytes;
  }
}

function memoryOf(data: Payload): number {
  if (typeof data !== "string") return data.byteLength;
  return Buffer.byteLength(data) === data.length ? data.length : 2 * data.length;
}
