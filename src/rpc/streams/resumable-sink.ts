// Frames of a stream that survives a lost connection (contract 30.1). What was sent is kept, so that a client that comes back goes on at the
// frame after the last one that it has; what comes while it is away waits, and when enough waits, nothing more is asked of the handler.
//
// Kept are frames that may not have arrived: the last ones that were sent, up to a number and to bytes, without those that the client has
// acknowledged, and all that wait. Under pressure on memory the sent ones go first; a client that then asks for one of them is told that it
// is gone. A client that stays away for too long has left.
import { EventFrame } from "../../http/event-frame.ts";
import type { EventReader } from "../../http/event-reader.ts";
import type { MemoryPieces } from "../../limits/memory-pieces.ts";
import type { StreamMessage } from "../wire/stream-message.ts";
import { HeadedReader } from "./event-sink.ts";
import type { FrameWriter } from "./frame-writer.ts";
import type { FrameSink, Sent } from "./live-stream.ts";

export interface ResumableParts {
  readonly frames: FrameWriter;
  /** That may wait, and that are kept after they were sent. */
  readonly maxFrames: number;
  readonly maxBytes?: number;
  /** A client may stay away for so long. */
  readonly awayMs: number;
  readonly queues: MemoryPieces;
  /** Nobody reads any more, or somebody does again. */
  readonly away?: (isAway: boolean) => void;
  /** Once: the client stayed away, or what was kept for it had to go. */
  readonly left: () => void;
}

interface Kept {
  readonly sequence: number;
  readonly text: string;
  readonly frame: EventFrame;
}

const MAX_BYTES = 4 * 1024 * 1024;

export class ResumableSink implements FrameSink {
  readonly #kept: Kept[] = [];
  #bytes = 0;
  /** Up to here nothing is kept any more. */
  #dropped = 0;
  /** How many of those that are kept the present reader, or the last one, was sent. */
  #sent = 0;
  #to: HeadedReader | undefined;
  #away: Timer | undefined;
  #room: PromiseWithResolvers<void> | undefined;
  #isOver = false;
  #hasLeft = false;

  constructor(private readonly parts: ResumableParts) {}

  get isHeard(): boolean {
    return this.#to?.reader.isOpen === true;
  }

  /** No more frames come. */
  get isOver(): boolean {
    return this.#isOver;
  }

  get keptBytes(): number {
    return this.#bytes;
  }

  /**
   * Goes on after the frame of this number; a reader that is there still is closed. False: a frame that the client has not is gone.
   */
  attach(reader: EventReader, after: number): boolean {
    if (!this.has(after)) return false;
    const missed = this.#kept.filter(({ sequence }) => sequence > after);
    const isAllThere = this.#isOver && missed.length === 0;
    const before = this.#to?.reader;
    this.#to = new HeadedReader(reader, isAllThere ? undefined : this.parts.frames.head(after + 1));
    before?.end();
    this.#back();
    for (const one of missed) this.#to.send(one.text, () => one.frame);
    this.#sent = this.#kept.length;
    this.#trim();
    if (this.#isOver) reader.end();
    this.#wake();
    return true;
  }

  /** Whether everything after the frame of this number is kept. */
  has(after: number): boolean {
    return !this.#hasLeft && after >= this.#dropped;
  }

  /** The reader is gone: the client may come back. */
  detach(reader: EventReader): void {
    if (this.#to?.reader !== reader) return;
    this.#to = undefined;
    this.#wake();
    this.away();
  }

  /** Nobody reads, or nobody did yet: the time begins in which somebody may come. */
  away(): void {
    if (this.#hasLeft || this.#to !== undefined || this.#away !== undefined) return;
    this.#away = setTimeout(() => this.leave(), this.parts.awayMs);
    this.parts.away?.(true);
  }

  #back(): void {
    if (this.#away === undefined) return;
    clearTimeout(this.#away);
    this.#away = undefined;
    this.parts.away?.(false);
  }

  send(frame: StreamMessage): Sent {
    if (this.#hasLeft) return "gone";
    const { sequence } = frame;
    const text = this.parts.frames.text(frame);
    if (text === undefined) return "left-out";
    const one: Kept = { sequence, text, frame: new EventFrame(text) };
    this.#kept.push(one);
    this.#bytes += one.frame.bytes.byteLength;
    if (this.#to?.send(text, () => one.frame) === true) {
      this.#sent = this.#kept.length;
      this.#trim();
    }
    this.#note();
    return this.#hasLeft ? "gone" : "sent";
  }

  room(): Promise<void> | undefined {
    if (this.#hasLeft) return undefined;
    const taking = this.#to?.reader.taking();
    if (taking !== undefined) return taking;
    if (this.isHeard || !this.#isFull) return undefined;
    this.#room ??= Promise.withResolvers();
    return this.#room.promise;
  }

  acked(sequence: number): void {
    let known = 0;
    while ((this.#kept[known]?.sequence ?? Number.POSITIVE_INFINITY) <= sequence) known++;
    this.#drop(known);
  }

  close(): void {
    this.#isOver = true;
    this.#to?.reader.end();
  }

  /** Nobody comes back for it. */
  leave(): void {
    if (this.#hasLeft) return;
    this.#hasLeft = true;
    this.#back();
    this.#drop(this.#kept.length);
    this.#to?.reader.end();
    this.#to = undefined;
    this.#wake();
    this.parts.left();
  }

  get #isFull(): boolean {
    const { maxFrames, maxBytes = MAX_BYTES } = this.parts;
    if (this.#kept.length - this.#sent >= maxFrames) return true;
    // What was sent is kept for safety only: it makes room for what waits.
    if (this.#bytes >= maxBytes && this.#sent > 0) this.#drop(this.#sent);
    return this.#bytes >= maxBytes;
  }

  /** Of what was sent, the oldest go. */
  #trim(): void {
    const { maxFrames, maxBytes = MAX_BYTES } = this.parts;
    let surplus = Math.max(0, this.#sent - maxFrames);
    let bytes = this.#bytes;
    for (let at = 0; at < this.#sent && (at < surplus || bytes > maxBytes); at++) {
      bytes -= this.#kept[at]?.frame.bytes.byteLength ?? 0;
      surplus = Math.max(surplus, at + 1);
    }
    this.#drop(surplus);
  }

  #drop(count: number): void {
    if (count === 0) return;
    for (const { sequence, frame } of this.#kept.splice(0, count)) {
      this.#dropped = sequence;
      this.#bytes -= frame.bytes.byteLength;
    }
    this.#sent = Math.max(0, this.#sent - count);
    this.#note();
  }

  #note(): void {
    this.parts.queues.set(this, this.#bytes, () => this.#giveUp());
  }

  /** Memory is needed. While somebody reads, what was sent was probably taken. */
  #giveUp(): void {
    if (this.isHeard) this.#drop(this.#sent);
    else this.leave();
  }

  #wake(): void {
    this.#room?.resolve();
    this.#room = undefined;
  }
}
