// Log lines on their way to whoever reads them. Never waits: what the reader does not take yet is kept, up to a bound in bytes, and in
// its order; what is beyond the bound is lost, and a line says how much as soon as the reader takes more. A reader that is gone costs
// nothing but its lines.
import type { LogChannel } from "./log-channel.ts";

/** Of lines that wait; some seconds of a busy server at the level trace. */
const MAX_BYTES = 2 * 1024 * 1024;
/** New lines are kept again from here on, so that a slow reader gets stretches of log and not single lines. */
const ENOUGH_ROOM_BYTES = MAX_BYTES / 2;
const PIECE_BYTES = 64 * 1024;
/** Between two looks whether the reader takes more: the longer it has not, the seldomer. */
const SHORTEST_LOOK_MS = 1;
const LONGEST_LOOK_MS = 100;
/** A reader that is gone, or a full disk, may come back. */
const TRY_AGAIN_MS = 5_000;
/** At the end of the process, for a reader that takes nothing, and for one that takes little. */
const LAST_WAIT_MS = 500;
const LAST_WAITS_MS = 5_000;
const LOOK_AT_END_MS = 2;

const NOTHING = new Uint8Array(0);

export class LogOutput {
  /** Lines that did not go, since the start. */
  lostTotal = 0;
  /** Lines that did not go, and of which the log does not tell yet. */
  #lost = 0;
  /** Lines of which a line tells that waits itself. */
  #telling = 0;
  readonly #waiting: string[] = [];
  #waitingBytes = 0;
  /** What is being handed over. */
  #piece: Uint8Array = NOTHING;
  #isFull = false;
  /** Not tried before, after a failure. */
  #quietUntil = Number.NEGATIVE_INFINITY;
  #why = "";
  /** A line was handed over in part, and its rest will never come. */
  #isCut = false;
  #lookMs = SHORTEST_LOOK_MS;
  #timer: Timer | undefined;
  #soon: ReturnType<typeof setImmediate> | undefined;

  constructor(
    private readonly channel: LogChannel,
    /** Of a line of JSON, for readers that are people. */
    private readonly format: (line: string) => string = (line) => line,
  ) {}

  /** Bytes that wait for the reader. */
  get waitingBytes(): number {
    return this.#waitingBytes + this.#piece.byteLength;
  }

  /** Takes one line of JSON. Never throws and never waits. */
  write(line: string): void {
    if (!this.#take(line)) return;
    // One that looks from time to time hands everything over in its order.
    if (this.#timer === undefined) this.#handOver();
  }

  /** The same with what else comes in this turn of the event loop: for lines of every request. Whatever `write` takes meanwhile takes them along. */
  writeSoon(line: string): void {
    if (!this.#take(line) || this.#timer !== undefined || this.#soon !== undefined) return;
    this.#soon = setImmediate(() => {
      this.#soon = undefined;
      if (this.#timer === undefined) this.#handOver();
    });
  }

  /** @returns false where it was lost. */
  #take(line: string): boolean {
    const text = this.format(line);
    const isQuiet = performance.now() < this.#quietUntil;
    const fits = this.waitingBytes + Buffer.byteLength(text) <= MAX_BYTES;
    // A line that is too large for itself says nothing about the reader.
    if (!fits && this.waitingBytes > ENOUGH_ROOM_BYTES) this.#isFull = true;
    if (isQuiet || this.#isFull || !fits) {
      this.#lose(1);
      return false;
    }
    this.#tellLoss();
    this.#keep(text);
    return true;
  }

  /** Resolves when everything has gone, or when the reader does not take more. */
  async flushed(): Promise<void> {
    await this.#finish((ms) => Bun.sleep(ms));
  }

  /** The same for a process that ends at once. */
  flushNow(): void {
    const steps = this.#ending();
    while (steps.next().done !== true) Bun.sleepSync(LOOK_AT_END_MS);
  }

  async #finish(wait: (ms: number) => Promise<void>): Promise<void> {
    for (const _ of this.#ending()) await wait(LOOK_AT_END_MS);
  }

  /** Tries, and yields as long as waiting a little more makes sense. */
  *#ending(): Generator<void> {
    const began = performance.now();
    let movedAt = began;
    for (let left = this.waitingBytes; left > 0; ) {
      this.#handOver();
      const now = performance.now();
      if (this.waitingBytes < left) movedAt = now;
      left = this.waitingBytes;
      if (now - movedAt > LAST_WAIT_MS || now - began > LAST_WAITS_MS) return;
      if (left > 0) yield;
    }
  }

  #keep(text: string): void {
    this.#waiting.push(text);
    this.#waitingBytes += Buffer.byteLength(text);
  }

  #lose(lines: number): void {
    this.#lost += lines;
    this.lostTotal += lines;
  }

  /** Says, where they are missing, how many lines are. */
  #tellLoss(): void {
    if (this.#lost === 0) return;
    const lost = this.#lost;
    this.#lost = 0;
    this.#telling += lost;
    const why =
      this.#why === "" ? "the reader of the log is too slow" : `the log could not be written (${this.#why})`;
    this.#why = "";
    const msg = `${lost} ${lost === 1 ? "line was" : "lines were"} lost: ${why}`;
    this.#keep(this.format(`${JSON.stringify({ level: 40, time: new Date().toISOString(), lost, msg })}\n`));
  }

  #handOver(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    try {
      while (this.#piece.byteLength > 0 || this.#waiting.length > 0) {
        if (this.#piece.byteLength === 0) this.#piece = this.#nextPiece();
        const went = this.channel.write(this.#piece);
        if (went === 0) {
          this.#lookLater();
          return;
        }
        this.#lookMs = SHORTEST_LOOK_MS;
        this.#isCut = went < this.#piece.byteLength && this.#piece[went - 1] !== NEWLINE;
        this.#piece = this.#piece.subarray(went);
        if (this.#isFull && this.waitingBytes <= ENOUGH_ROOM_BYTES) {
          this.#isFull = false;
          this.#tellLoss();
        }
      }
      this.#telling = 0;
    } catch (error) {
      this.#giveUp(error);
    }
  }

  #nextPiece(): Uint8Array {
    let text = this.#isCut ? "\n" : "";
    let taken = 0;
    for (const line of this.#waiting) {
      if (taken > 0 && text.length + line.length > PIECE_BYTES) break;
      text += line;
      taken++;
      this.#waitingBytes -= Buffer.byteLength(line);
    }
    this.#waiting.splice(0, taken);
    this.#isCut = false;
    return Buffer.from(text);
  }

  #lookLater(): void {
    this.#timer = setTimeout(() => this.#handOver(), this.#lookMs);
    this.#timer.unref();
    this.#lookMs = Math.min(LONGEST_LOOK_MS, 2 * this.#lookMs);
  }

  #giveUp(error: unknown): void {
    this.#quietUntil = performance.now() + TRY_AGAIN_MS;
    this.#why = error instanceof Error && "code" in error ? String(error.code) : "unknown";
    const whole = Buffer.from(this.#piece).toString("latin1").split("\n").length - 1;
    this.#lose(whole + this.#waiting.length);
    this.#lost += this.#telling;
    this.#telling = 0;
    this.#waiting.length = 0;
    this.#waitingBytes = 0;
    this.#piece = NOTHING;
    this.#isFull = false;
  }
}

const NEWLINE = 10;
