// One reader of server-sent events. What is sent within a turn of the event loop is written together at its end; what the reader has not
// taken waits in a queue of references to frames that others share, and a reader that stops is closed while nobody else waits.
import type { Logger } from "pino";
import type { MemoryPieces } from "../limits/memory-pieces.ts";
import type { EventFrame } from "./event-frame.ts";
import { GZIP_HEAD, GzipSum } from "./shared-gzip.ts";

/** What Bun hands out for a direct stream. A promise means that the client has not taken what was written; Bun keeps that much. */
export interface StreamSink {
  write(bytes: Uint8Array<ArrayBuffer>): number | Promise<number>;
  flush(): unknown;
  end(): unknown;
}

export interface ReaderParts {
  /** What waits for all of them together, and for slow sockets. */
  readonly queues: MemoryPieces;
  /** That may wait for one; a frame alone may be larger. */
  readonly maxQueuedBytes: () => number;
  readonly address: string;
  readonly isGzipped: boolean;
  /** At the end of this turn. Called once until `flush` is. */
  readonly due: (reader: EventReader) => void;
  /** Once, whoever ended it. */
  readonly ended: (reader: EventReader) => void;
  readonly log: Logger;
  readonly now: () => number;
}

/** Handed over at one time, so that a slow client's progress shows. */
const PIECE_BYTES = 128 * 1024;

export class EventReader {
  #sink: StreamSink | undefined;
  /** `true`: the connection is reset. */
  #settle: ((isReset: boolean) => void) | undefined;
  readonly #queue: Uint8Array<ArrayBuffer>[] = [];
  /** Of the queue, and what Bun keeps. */
  #queuedBytes = 0;
  readonly #sum: GzipSum | undefined;
  #isDue = false;
  /** Since when the client has not taken what Bun keeps. */
  #blockedSince: number | undefined;
  #isEnding = false;
  #isEnded = false;
  /** Of those that send no more until this client takes what it was sent. */
  #waiting: PromiseWithResolvers<void> | undefined;

  constructor(private readonly parts: ReaderParts) {
    this.#sum = parts.isGzipped ? new GzipSum() : undefined;
    if (parts.isGzipped) this.#add(GZIP_HEAD);
  }

  get isOpen(): boolean {
    return !this.#isEnding && !this.#isEnded;
  }

  /** Whether the client takes what it is sent, as far as this side sees. */
  get isTaking(): boolean {
    return this.isOpen && this.#blockedSince === undefined;
  }

  /** Not handed over, or handed over and not taken. */
  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  /** For who sends only what is taken: settles when the client takes again, or is gone; undefined while it takes. */
  taking(): Promise<void> | undefined {
    if (this.#blockedSince === undefined || this.#isEnded) return undefined;
    this.#waiting ??= Promise.withResolvers();
    return this.#waiting.promise;
  }

  /** @returns false when the reader is gone. */
  send(frame: EventFrame): boolean {
    if (!this.isOpen) return false;
    if (this.#blockedSince !== undefined && this.#queuedBytes > this.parts.maxQueuedBytes()) {
      this.#giveUp("a client does not read: its queue is full");
      return false;
    }
    if (this.#sum === undefined) this.#add(frame.bytes);
    else {
      const { deflated } = frame;
      this.#sum.add(deflated);
      this.#add(deflated.bytes);
    }
    if (this.#blockedSince !== undefined) this.#noteQueue();
    else if (this.#sink !== undefined) {
      // Very much in one turn is not held back for its end: only then does it show whether the client takes it.
      if (this.#queuedBytes > PIECE_BYTES) this.#writeQueue();
      else if (!this.#isDue) {
        this.#isDue = true;
        this.parts.due(this);
      }
    }
    return this.isOpen;
  }

  /** Ends the answer after what was sent. A client that does not take it is cut off by whoever closes the connection. */
  end(): void {
    if (!this.isOpen) return;
    if (this.#sum !== undefined) this.#add(this.#sum.end());
    this.#isEnding = true;
    this.flush();
  }

  /** Resets the connection when the client has taken nothing for so long. */
  closeIfStalled(ms: number): void {
    if (this.#blockedSince !== undefined && this.parts.now() - this.#blockedSince >= ms)
      this.#giveUp("a client does not read");
  }

  /** Bun asks for the answer. What was sent until now goes out at once. @returns what settles when the answer ends. */
  started(sink: StreamSink): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    // Bun resets the connection when the promise is rejected, and says nothing of an error that is none.
    this.#settle = (isReset) => (isReset ? reject(undefined) : resolve());
    if (this.#isEnded) this.#settle(true);
    this.#sink = sink;
    this.flush();
    return promise;
  }

  /** The client has gone. */
  cancelled(): void {
    this.#finish(false);
  }

  flush(): void {
    this.#isDue = false;
    this.#writeQueue();
  }

  #writeQueue(): void {
    const sink = this.#sink;
    if (sink === undefined || this.#isEnded || this.#blockedSince !== undefined) return;
    let taken = 0;
    while (taken < this.#queue.length && this.#blockedSince === undefined) {
      const bytes = this.#queue[taken] as Uint8Array<ArrayBuffer>;
      const isLast = bytes.byteLength <= PIECE_BYTES;
      if (isLast) taken++;
      else this.#queue[taken] = bytes.subarray(PIECE_BYTES);
      this.#write(sink, isLast ? bytes : bytes.subarray(0, PIECE_BYTES));
    }
    this.#queue.splice(0, taken);
    sink.flush();
    if (this.#blockedSince !== undefined) this.#noteQueue();
    else if (this.#isEnding) {
      sink.end();
      this.#finish(false);
    }
  }

  #write(sink: StreamSink, piece: Uint8Array<ArrayBuffer>): void {
    const written = sink.write(piece);
    if (typeof written === "number") {
      this.#queuedBytes -= piece.byteLength;
      return;
    }
    this.#blockedSince = this.parts.now();
    const drained = () => this.#drained(piece.byteLength);
    written.then(drained, drained);
  }

  #drained(bytes: number): void {
    if (this.#isEnded) return;
    this.#blockedSince = undefined;
    this.#queuedBytes -= bytes;
    this.#noteQueue();
    this.flush();
    if (this.#blockedSince === undefined) this.#wake();
  }

  #wake(): void {
    this.#waiting?.resolve();
    this.#waiting = undefined;
  }

  #add(bytes: Uint8Array<ArrayBuffer>): void {
    this.#queue.push(bytes);
    this.#queuedBytes += bytes.byteLength;
  }

  #noteQueue(): void {
    const bytes = this.#blockedSince === undefined ? 0 : this.#queuedBytes;
    this.parts.queues.set(this, bytes, () => this.#giveUp("all queues together are full"));
  }

  #giveUp(problem: string): void {
    if (this.#isEnded) return;
    const { address, maxQueuedBytes } = this.parts;
    this.parts.log.warn(
      { address, queuedBytes: this.#queuedBytes, limitBytes: maxQueuedBytes() },
      `${problem}; its event stream was closed and may be opened again`,
    );
    this.#finish(true);
  }

  #finish(isReset: boolean): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#queue.length = 0;
    this.#queuedBytes = 0;
    this.parts.queues.forget(this);
    this.#settle?.(isReset);
    this.#blockedSince = undefined;
    this.#wake();
    this.parts.ended(this);
  }
}
