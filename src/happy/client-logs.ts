// Debug logs that clients send (HTTP contract 3.6): JSON lines in a folder, readable by the owner only. Bounded in size: a full file
// is followed by a new one, and only the newest files stay.
import { appendFile, mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Logger } from "pino";

export interface ClientLogRecord {
  /** The client's own clock, as it wrote it. */
  readonly timestamp: string;
  readonly level: string;
  readonly message: string;
  readonly messageRawObject?: unknown;
  readonly source: "mobile" | "cli";
  readonly platform?: string | undefined;
}

export interface ClientLogLimits {
  readonly maxFileBytes: number;
  readonly maxFiles: number;
}

const LIMITS: ClientLogLimits = { maxFileBytes: 10 * 1024 * 1024, maxFiles: 5 };

/** MM-DD-HH-MM-SS.log, with a number when a second one begins in the same second. */
const NAME = /^\d\d-\d\d-\d\d-\d\d-\d\d(?:-\d+)?\.log$/;

export class ClientLogs {
  #file: { readonly path: string; bytes: number } | undefined;
  /** Files that this process began, oldest first. */
  readonly #begun: string[] = [];
  /** Records are appended one after the other. */
  #last: Promise<void> = Promise.resolve();

  constructor(
    private readonly folder: string,
    private readonly log: Logger,
    private readonly limits: ClientLogLimits = LIMITS,
  ) {}

  /** Resolves when the record is stored, or could not be: a client never hears of that. */
  append(record: ClientLogRecord, now: number = Date.now()): Promise<void> {
    const { level, messageRawObject, ...rest } = record;
    const line = `${JSON.stringify({ time: new Date(now).toISOString(), level: levelOf(level), ...rest, raw: messageRawObject })}\n`;
    this.#last = this.#last
      .then(() => this.#write(line, now))
      .catch((error: unknown) => this.log.error({ err: error }, "a client's log record could not be stored"));
    return this.#last;
  }

  async #write(line: string, now: number): Promise<void> {
    const bytes = Buffer.byteLength(line);
    if (bytes > this.limits.maxFileBytes) throw new Error("the record is larger than a log file may be");
    if (this.#file === undefined || this.#file.bytes + bytes > this.limits.maxFileBytes) {
      this.#file = { path: await this.#begin(now), bytes: 0 };
    }
    await appendFile(this.#file.path, line, { mode: 0o600 });
    this.#file.bytes += bytes;
  }

  /** Path of a new file; makes room for it. */
  async #begin(now: number): Promise<string> {
    await mkdir(this.folder, { recursive: true, mode: 0o700 });
    const present = (await readdir(this.folder)).filter((name) => NAME.test(name)).sort();
    // Names have no year: what this process did not begin is older.
    const others = present.filter((name) => !this.#begun.includes(name));
    const mine = this.#begun.filter((name) => present.includes(name));
    const surplus = [...others, ...mine].slice(0, Math.max(0, present.length - this.limits.maxFiles + 1));
    for (const name of surplus) await rm(join(this.folder, name), { force: true });
    const name = freeName(now, new Set(present));
    this.#begun.push(name);
    return join(this.folder, name);
  }
}

function freeName(now: number, taken: ReadonlySet<string>): string {
  const at = new Date(now);
  const parts = [at.getMonth() + 1, at.getDate(), at.getHours(), at.getMinutes(), at.getSeconds()];
  const stem = parts.map((part) => String(part).padStart(2, "0")).join("-");
  for (let number = 1; ; number++) {
    const name = number === 1 ? `${stem}.log` : `${stem}-${number}.log`;
    if (!taken.has(name)) return name;
  }
}

function levelOf(level: string): "error" | "warn" | "debug" | "info" {
  switch (level.toLowerCase()) {
    case "error":
      return "error";
    case "warn":
    case "warning":
      return "warn";
    case "debug":
      return "debug";
    default:
      return "info";
  }
}
