// The one writer of a client: frames leave in order, and what is pushed within one turn of the event loop leaves together. A client
// that has not taken its frames within the write timeout is a slow client; every acknowledgement is answered exactly once.
import type { SendResult } from "../server/peer.ts";
import { ClientClosedError, SendBufferFullError } from "./errors.ts";
import type { Frame } from "./frame.ts";
import type { Turn } from "./turn.ts";

/** The socket as a writer uses it; the door's Peer is one. */
export interface Sink {
  /** Bytes that the system has not taken yet. */
  readonly queuedBytes: number;
  /** Never blocks. */
  send(data: Frame["data"]): SendResult;
  /** What is sent within the work becomes few writes to the system. */
  cork<T>(work: () => T): T;
}

export interface OutboxParts {
  readonly sink: Sink;
  readonly turn: Turn;
  /** Frames that may wait behind those in flight. */
  readonly capacity: number;
  readonly writeTimeoutMs: number;
  readonly onSlow: () => void;
  /** The socket is gone. */
  readonly onLost: () => void;
  readonly onSent: () => void;
}

/** Frames of one turn that are held back for its end. */
const MAX_TOGETHER = 64;
/** Bun's buffer for corked frames has 16 KiB. */
const CORK_SIZE = 12_000;

export class Outbox {
  /** Of this turn, not yet given to the socket. Never more than could wait if the socket took only the first. */
  #fresh: Frame[] = [];
  /** Behind those in flight. */
  readonly #waiting: Frame[] = [];
  /** The system has not taken all of these yet. */
  #inFlight: readonly Frame[] = [];
  #deadline: Timer | undefined;
  #closed = false;
  readonly #together: number;

  constructor(private readonly parts: OutboxParts) {
    this.#together = Math.min(MAX_TOGETHER, parts.capacity + 1);
  }

  /** @throws ClientClosedError, SendBufferFullError; the frame is not queued then, and its acknowledgement is not called. */
  push(frame: Frame): void {
    if (this.#closed) throw new ClientClosedError();
    if (this.#fresh.length >= this.#together) this.flush();
    if (this.#inFlight.length === 0 && this.#waiting.length === 0) {
      if (this.#fresh.length === 0) this.parts.turn.add(this);
      this.#fresh.push(frame);
    } else if (this.#waiting.length >= this.parts.capacity) throw new SendBufferFullError();
    else this.#waiting.push(frame);
  }

  /** At the end of the turn. */
  flush(): void {
    if (this.#closed || this.#inFlight.length > 0) return;
    const frames = this.#fresh;
    this.#fresh = [];
    this.#write(frames);
  }

  /** The system took everything it was given. */
  drained(): void {
    const written = this.#inFlight;
    if (written.length === 0) return;
    clearTimeout(this.#deadline);
    this.#inFlight = [];
    this.#write(this.#waiting.splice(0), written);
  }

  /** Whatever has not been written never will be. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#deadline);
    const unsent = [...this.#inFlight, ...this.#waiting.splice(0), ...this.#fresh];
    this.#inFlight = [];
    this.#fresh = [];
    for (const frame of unsent) frame.ack?.(new ClientClosedError());
  }

  /** `written` are frames before these whose acknowledgements are due; what those push must not overtake what waits. */
  #write(frames: readonly Frame[], written: readonly Frame[] = []): void {
    const sent = [...written];
    let result: SendResult = "written";
    for (let at = 0; at < frames.length && result === "written"; ) {
      const given = this.#give(frames.slice(at, groupEnd(frames, at)));
      result = given.result;
      const group = frames.slice(at, at + given.count);
      at += given.count;
      if (result === "written") sent.push(...group);
      else {
        this.#inFlight = group;
        this.#waiting.unshift(...frames.slice(at));
      }
    }
    const { onLost, onSlow, writeTimeoutMs } = this.parts;
    if (result === "waiting") this.#deadline = setTimeout(onSlow, writeTimeoutMs);
    for (const { ack } of sent) {
      this.parts.onSent();
      ack?.();
    }
    if (result === "lost") onLost();
  }

  /** Stops at the first that the system does not take at once. */
  #give(group: readonly Frame[]): { readonly result: SendResult; readonly count: number } {
    const { sink } = this.parts;
    let count = 0;
    const send = (): SendResult => {
      for (const { data } of group) {
        count++;
        const result = sink.send(data);
        if (result !== "written") return result;
      }
      return "written";
    };
    if (group.length === 1) return { result: send(), count };
    const result = sink.cork(send);
    // Only after the cork does it show whether the system took them all.
    return { result: result === "written" && sink.queuedBytes > 0 ? "waiting" : result, count };
  }
}

/** Small frames go to the system together, a large one alone. */
function groupEnd(frames: readonly Frame[], from: number): number {
  let size = 0;
  let end = from;
  while (end < frames.length) {
    size += frames[end]?.data.length ?? 0;
    if (end > from && size > CORK_SIZE) break;
    end++;
  }
  return end;
}
