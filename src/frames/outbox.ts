// The one writer of a client: frames leave in order, one in flight and a bounded number behind it. A frame that the client has not
// taken within the write timeout makes it a slow client; every acknowledgement is answered exactly once.
import type { SendResult } from "../server/peer.ts";
import { ClientClosedError, SendBufferFullError } from "./errors.ts";
import type { Frame } from "./frame.ts";

export interface OutboxParts {
  /** Hands a frame to the socket; never blocks. */
  readonly send: (data: Frame["data"]) => SendResult;
  /** Frames that may wait behind the one in flight. */
  readonly capacity: number;
  readonly writeTimeoutMs: number;
  readonly onSlow: () => void;
  /** The socket is gone. */
  readonly onLost: () => void;
  readonly onSent: () => void;
}

export class Outbox {
  readonly #waiting: Frame[] = [];
  /** Bun holds it until the socket drains. */
  #inFlight: Frame | undefined;
  #deadline: Timer | undefined;
  #closed = false;

  constructor(private readonly parts: OutboxParts) {}

  /** @throws ClientClosedError, SendBufferFullError; the frame is not queued then, and its acknowledgement is not called. */
  push(frame: Frame): void {
    if (this.#closed) throw new ClientClosedError();
    // Something waits without a frame in flight only while an acknowledgement runs: it must not overtake.
    if (this.#inFlight === undefined && this.#waiting.length === 0) this.#write(frame);
    else if (this.#waiting.length >= this.parts.capacity) throw new SendBufferFullError();
    else this.#waiting.push(frame);
  }

  /** The socket took everything it was given. */
  drained(): void {
    const written = this.#inFlight;
    if (written === undefined) return;
    clearTimeout(this.#deadline);
    this.#inFlight = undefined;
    this.#sent(written);
    for (;;) {
      if (this.#inFlight !== undefined || this.#closed) return;
      const next = this.#waiting.shift();
      if (next === undefined) return;
      this.#write(next);
    }
  }

  /** Whatever has not been written never will be. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#deadline);
    const unsent = [...(this.#inFlight === undefined ? [] : [this.#inFlight]), ...this.#waiting.splice(0)];
    this.#inFlight = undefined;
    for (const frame of unsent) frame.ack?.(new ClientClosedError());
  }

  #write(frame: Frame): void {
    const result = this.parts.send(frame.data);
    if (result === "written") this.#sent(frame);
    else {
      this.#inFlight = frame;
      if (result === "lost") this.parts.onLost();
      else this.#deadline = setTimeout(this.parts.onSlow, this.parts.writeTimeoutMs);
    }
  }

  #sent(frame: Frame): void {
    this.parts.onSent();
    frame.ack?.();
  }
}
