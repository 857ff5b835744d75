// Binary attachments of one Socket.IO connection that wait for the rest of their packet: few, and counted as memory. Those of an
// acknowledgement are held until it is whole, so that what is too large of it costs only its own call.
import type { EnginePacket } from "./engine-connection.ts";

/** Of one packet. */
export const MAX_ATTACHMENTS = 10;

export interface HeldAck {
  readonly text: string;
  /** Stands for it when it is refused. */
  readonly refused: string;
  readonly attachments: number;
  readonly maxBytes: number;
}

export interface Taken {
  /** What Socket.IO may see now. */
  readonly onward: readonly EnginePacket[];
  /** What waits in memory for the rest. */
  readonly heldBytes: number;
  /** More than this packet may have: its connection has to end. */
  readonly isTooLarge?: boolean;
  /** Of an acknowledgement that was refused. */
  readonly refusedBytes?: number;
}

interface Waiting {
  expected: number;
  bytes: number;
  readonly maxBytes: number;
}

interface WaitingAck extends Waiting {
  readonly ack: HeldAck;
  /** Empty when it is refused: what comes of it is thrown away. */
  pieces: EnginePacket[];
  isRefused: boolean;
}

export class Attachments {
  #waiting: Waiting = { expected: 0, bytes: 0, maxBytes: 0 };
  #ack: WaitingAck | undefined;

  /** An acknowledgement is not whole: nothing else may come between. */
  get isHolding(): boolean {
    return this.#ack !== undefined;
  }

  /** The packet that has passed is followed by so many. */
  expect(expected: number, maxBytes: number): void {
    this.#waiting = { expected, bytes: 0, maxBytes };
  }

  hold(ack: HeldAck): void {
    const { attachments: expected, maxBytes, text } = ack;
    const isRefused = expected > MAX_ATTACHMENTS;
    this.#ack = { ack, expected, maxBytes, bytes: Buffer.byteLength(text), pieces: [], isRefused };
  }

  take(packet: EnginePacket, data: Buffer): Taken {
    if (this.#ack !== undefined) return this.#pieceOf(this.#ack, packet, data);
    const waiting = this.#waiting;
    count(waiting, data);
    return {
      onward: [packet],
      heldBytes: waiting.expected > 0 ? waiting.bytes : 0,
      isTooLarge: waiting.bytes > waiting.maxBytes,
    };
  }

  #pieceOf(held: WaitingAck, packet: EnginePacket, data: Buffer): Taken {
    count(held, data);
    held.isRefused ||= held.bytes > held.maxBytes;
    if (held.isRefused) held.pieces = [];
    else held.pieces.push(packet);
    if (held.expected > 0) return { onward: [], heldBytes: held.isRefused ? 0 : held.bytes };
    this.#ack = undefined;
    const { text, refused } = held.ack;
    if (!held.isRefused) return { onward: [{ type: "message", data: text }, ...held.pieces], heldBytes: 0 };
    return { onward: [{ type: "message", data: refused }], heldBytes: 0, refusedBytes: held.bytes };
  }
}

function count(waiting: Waiting, { byteLength }: Buffer): void {
  waiting.bytes += byteLength;
  waiting.expected--;
}
