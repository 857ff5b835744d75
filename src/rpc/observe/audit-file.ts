// The audit's own file: lines of JSON that only the owner reads, turned over at a size, with a bounded number of older ones. Lines wait in
// memory up to a bound; what is beyond it is dropped and counted, and nobody who is answered waits for the disk.
import { appendFile, chmod, rename, stat } from "node:fs/promises";
import type { Logger } from "pino";
import { endsWithin } from "../../within.ts";
import type { AuditEvent, AuditSink } from "./audit.ts";

export interface AuditFileParts {
  readonly path: string;
  readonly log: Logger;
  readonly dropped: (events: number) => void;
  /** Of one file; asked each time. */
  readonly maxBytes: () => number;
  /** That stay beside the present one. */
  readonly keep: () => number;
  readonly flushMs?: number;
  readonly retryMs?: number;
}

const MAX_EVENTS = 10_000;
const MAX_WAITING_BYTES = 16 * 1024 * 1024;
const PIECE_BYTES = 256 * 1024;
const FLUSH_MS = 100;
const RETRY_MS = 5_000;
const LAST_WAIT_MS = 2_000;

export class AuditFile implements AuditSink {
  readonly #waiting: string[] = [];
  #waitingBytes = 0;
  #writing: Promise<void> | undefined;
  #timer: Timer | undefined;
  /** The last line may have been written in part. */
  #isCut = true;
  #isTold = false;
  #isClosed = false;

  constructor(private readonly parts: AuditFileParts) {}

  write(event: AuditEvent): void {
    const line = `${JSON.stringify(event)}\n`;
    const bytes = Buffer.byteLength(line);
    if (this.#waiting.length >= MAX_EVENTS || this.#waitingBytes + bytes > MAX_WAITING_BYTES) {
      this.parts.dropped(1);
      return;
    }
    this.#waiting.push(line);
    this.#waitingBytes += bytes;
    if (this.#timer === undefined && this.#writing === undefined) this.#later(this.parts.flushMs ?? FLUSH_MS);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const last = (async () => {
      await this.#writing;
      if (this.#waiting.length > 0) await this.#drain();
    })();
    if (!(await endsWithin(LAST_WAIT_MS, last)) || this.#waiting.length > 0)
      this.parts.dropped(this.#waiting.length);
  }

  #later(ms: number): void {
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#writing = this.#drain().finally(() => {
        this.#writing = undefined;
        if (this.#waiting.length > 0 && !this.#isClosed)
          this.#later(this.#isTold ? (this.parts.retryMs ?? RETRY_MS) : (this.parts.flushMs ?? FLUSH_MS));
      });
    }, ms);
    this.#timer.unref();
  }

  /** Until nothing waits, or it fails. Never rejects. */
  async #drain(): Promise<void> {
    const { path, log } = this.parts;
    try {
      while (this.#waiting.length > 0) {
        await this.#turnOver();
        const piece = this.#nextPiece();
        const isCut = this.#isCut;
        this.#isCut = true;
        await appendFile(path, isCut ? await this.#mended(piece.text) : piece.text, { mode: 0o600 });
        this.#isCut = false;
        this.#waiting.splice(0, piece.lines);
        this.#waitingBytes -= Buffer.byteLength(piece.text);
        if (this.#isTold) log.info("the audit is written again");
        this.#isTold = false;
      }
    } catch (error) {
      if (this.#isTold) return;
      this.#isTold = true;
      const problem = error instanceof Error && "code" in error ? String(error.code) : "unknown";
      log.error(
        { problem },
        "the audit cannot be written; it waits, and what is too much for that is dropped",
      );
    }
  }

  #nextPiece(): { readonly text: string; readonly lines: number } {
    let text = "";
    let lines = 0;
    for (const line of this.#waiting) {
      if (lines > 0 && text.length + line.length > PIECE_BYTES) break;
      text += line;
      lines++;
    }
    return { text, lines };
  }

  /** After a failure, and at the first write of this process, a line may be there in part. */
  async #mended(text: string): Promise<string> {
    const { path } = this.parts;
    const { size } = await stat(path).catch(() => ({ size: 0 }));
    if (size === 0) return text;
    await chmod(path, 0o600);
    const last = await Bun.file(path)
      .slice(size - 1, size)
      .text();
    return last === "\n" ? text : `\n${text}`;
  }

  async #turnOver(): Promise<void> {
    const { path, maxBytes, keep } = this.parts;
    const { size } = await stat(path).catch(() => ({ size: 0 }));
    if (size < maxBytes()) return;
    const kept = keep();
    for (let at = kept; at >= 1; at--)
      await rename(at === 1 ? path : `${path}.${at - 1}`, `${path}.${at}`).catch((error: unknown) => {
        if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) throw error;
      });
  }
}
