// The one writer of a client: frames leave in order, and what is pushed within one turn of the event loop leaves together. A client
// that has not taken its frames within the write timeout is a slow client; every acknowledgement is answered exactly once. What the
// system does not take at once is counted in the hub's budget of memory until it is taken, or given up.

import type { EndOfTurn } from "../server/end-of-turn.ts";
import type { SendResult } from "../server/peer.ts";
import { ClientClosedError } from "./errors.ts";
import type { Frame } from "./frame.ts";
import type { BlockedQueue, QueueBudget } from "./queue-budget.ts";
import type { QueuedFrame } from "./queued-frame.ts";

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
  readonly turn: EndOfTurn;
  readonly budget: QueueBudget;
  /** Frames that may wait behind those in flight. */
  readonly capacity: number;
  readonly writeTimeoutMs: number;
  readonly onSlow: () => void;
  /** The budget is exceeded, and this client is the slowest. Must close this outbox. */
  readonly onOverBudget: () => void;
  /** The socket is gone. */
  readonly onLost: () => void;
  readonly onSent: () => void;
}

/** Frames of one turn that are held back for its end. */
const MAX_TOGETHER = 64;
/** Bun's buffer for corked frames has 16 KiB. */
const CORK_SIZE = 12_000;

/** `full`: too many wait, and the frame was not queued. */
export type Offer = "queued" | "full" | "closed";

export class Outbox implements BlockedQueue {
  /** Of this turn, not yet given to the socket. Never more than could wait if the socket took only the first. */
  #fresh: QueuedFrame[] = [];
  /** Behind those in flight. */
  #waiting: QueuedFrame[] = [];
  /** The system has not taken all of these yet. */
  #inFlight: readonly QueuedFrame[] = [];
  /** Of those in flight, in the socket's own buffer. */
  #buffered = 0;
  #bytes = 0;
  #since = Number.NaN;
  #deadline: Timer | undefined;
  #closed = false;
  readonly #together: number;

  constructor(private readonly parts: OutboxParts) {
    this.#together = Math.min(MAX_TOGETHER, parts.capacity + 1);
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  get bytes(): number {
    return this.#bytes + this.#buffered;
  }

  get since(): number {
    return this.#since;
  }

  /** What is not queued is not acknowledged. Nothing is thrown: a room of clients that do not read must stay cheap. */
  offer(frame: QueuedFrame): Offer {
    if (this.#closed) return "closed";
    const { turn, capacity, budget } = this.parts;
    if (this.#fresh.length >= this.#together) {
      this.flush();
      // Its socket took its last frame.
      if (this.isClosed) return "closed";
    }
    if (this.#inFlight.length === 0 && this.#waiting.length === 0) {
      if (this.#fresh.length === 0) turn.add(this);
      this.#fresh.push(frame);
      turn.grew(frame.bytes);
      return "queued";
    }
    if (this.#waiting.length >= capacity) return "full";
    this.#hold(frame);
    this.#waiting.push(frame);
    budget.keep();
    return "queued";
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
    const waited = this.#waiting;
    this.#waiting = [];
    this.#letGo([...written, ...waited]);
    this.#inFlight = [];
    this.#write(waited, written);
    if (this.#inFlight.length === 0) this.#unblock();
  }

  giveUp(): void {
    this.parts.onOverBudget();
  }

  /** What has not been written never will be. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#deadline);
    const held = [...this.#inFlight, ...this.#waiting];
    const unsent = [...held, ...this.#fresh];
    this.#letGo(held);
    this.#unblock();
    this.#inFlight = [];
    this.#waiting = [];
    this.#fresh = [];
    for (const frame of unsent) frame.ack?.(new ClientClosedError());
  }

  /** `written` are frames before these whose acknowledgements are due; what those push must not overtake what waits. */
  #write(frames: readonly QueuedFrame[], written: readonly QueuedFrame[] = []): void {
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
        // Nothing else waits: what would have, came with these.
        this.#waiting = frames.slice(at);
        this.#block([...group, ...this.#waiting]);
      }
    }
    const { onLost, onSlow, writeTimeoutMs } = this.parts;
    if (result === "waiting") this.#deadline = setTimeout(onSlow, writeTimeoutMs);
    for (const { ack } of sent) {
      this.parts.onSent();
      ack?.();
    }
    if (result === "lost") onLost();
    else if (result === "waiting") this.parts.budget.keep();
  }

  #block(frames: readonly QueuedFrame[]): void {
    const { budget, sink } = this.parts;
    if (Number.isNaN(this.#since)) {
      this.#since = performance.now();
      budget.join(this);
    }
    for (const frame of frames) this.#hold(frame);
    this.#buffered = sink.queuedBytes;
    budget.buffer(this.#buffered);
  }

  /** Nothing waits any more. */
  #unblock(): void {
    this.#since = Number.NaN;
    this.parts.budget.leave(this);
  }

  #hold(frame: QueuedFrame): void {
    this.parts.budget.hold(frame);
    this.#bytes += frame.bytes;
  }

  #letGo(frames: readonly QueuedFrame[]): void {
    for (const frame of frames) {
      this.parts.budget.release(frame);
      this.#bytes -= frame.bytes;
    }
    this.parts.budget.buffer(-this.#buffered);
    this.#buffered = 0;
  }

  /** Stops at the first that the system does not take at once. */
  #give(group: readonly QueuedFrame[]): { readonly result: SendResult; readonly count: number } {
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
function groupEnd(frames: readonly QueuedFrame[], from: number): number {
  let size = 0;
  let end = from;
  while (end < frames.length) {
    size += frames[end]?.data.length ?? 0;
    if (end > from && size > CORK_SIZE) break;
    end++;
  }
  return end;
}
