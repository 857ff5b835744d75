// An acknowledgement whose binary attachments are on their way. It is held until it is whole, so that what is too large of it costs only
// its own call.
import type { EnginePacket } from "./engine-connection.ts";

export interface HeldAckParts {
  readonly text: string;
  /** Stands for it when it is refused. */
  readonly refused: string;
  readonly attachments: number;
  readonly maxAttachments: number;
  readonly maxBytes: number;
}

export class HeldAck {
  #expected: number;
  #bytes: number;
  /** Empty when it is refused: what comes of it is thrown away. */
  #pieces: EnginePacket[] = [];
  #isRefused: boolean;

  constructor(private readonly parts: HeldAckParts) {
    this.#expected = parts.attachments;
    this.#bytes = Buffer.byteLength(parts.text);
    this.#isRefused = parts.attachments > parts.maxAttachments;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get isWhole(): boolean {
    return this.#expected === 0;
  }

  get isRefused(): boolean {
    return this.#isRefused;
  }

  /** What waits in memory for the rest. */
  get heldBytes(): number {
    return this.#isRefused || this.isWhole ? 0 : this.#bytes;
  }

  take(packet: EnginePacket, data: Buffer): void {
    this.#bytes += data.byteLength;
    this.#expected--;
    this.#isRefused ||= this.#bytes > this.parts.maxBytes;
    if (this.#isRefused) this.#pieces = [];
    else this.#pieces.push(packet);
  }

  /** What Socket.IO may see of it, when it is whole. */
  packets(): readonly EnginePacket[] {
    const { text, refused } = this.parts;
    if (this.#isRefused) return [{ type: "message", data: refused }];
    return [{ type: "message", data: text }, ...this.#pieces];
  }
}
