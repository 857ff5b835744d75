// What the server does about old things while it runs: deletes what is beyond the operator's limits, sweeps files that nobody can
// reach, and gives the room back. Settings are read at each round.
import { join } from "node:path";
import type { Logger } from "pino";
import type { Config } from "../config/settings.ts";
import type { Database } from "../storage/database.ts";
import { type FilesFound, type SessionOwner, sweepFiles } from "./blob-sweep.ts";
import { doubtInWords, type RetentionClock } from "./clock.ts";
import { releaseFreePages } from "./free-pages.ts";
import { type Cutoffs, cutoffs, hasRules, type RetentionConfig, shortest } from "./rules.ts";

const FIRST_ROUND_MS = 5_000;
const ROUND_MS = 3_600_000;
/** Every file is looked at then. */
const SWEEP_EVERY_MS = 6 * ROUND_MS;
const PAUSE_MS = 10;

export interface RetentionJobOptions {
  readonly config: RetentionConfig & Pick<Config, "dataDir" | "s3Host">;
  readonly databases: readonly Database[];
  readonly clock: Pick<RetentionClock, "doubt">;
  readonly forgetOld: (limits: Cutoffs, goOn: () => boolean) => Promise<object>;
  readonly ownerOf: (sessionId: string) => SessionOwner | undefined;
  /** Hears, of each session with files, what it has. */
  readonly counted: (sessionId: string, found: FilesFound) => Promise<void>;
  /** Called when files went away. */
  readonly onRemoved: () => void;
  readonly log: Logger;
}

export class RetentionJob {
  #timer: Timer | undefined;
  #round: Promise<void> | undefined;
  /** Of performance.now(): the clock may be set. */
  #sweptAt = Number.NEGATIVE_INFINITY;
  #stopped = false;

  constructor(private readonly options: RetentionJobOptions) {}

  start(): void {
    this.#next(FIRST_ROUND_MS);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#round;
  }

  /** One round; a failure is told to the log and tried again at the next. */
  run(): Promise<void> {
    this.#round ??= this.#work()
      .catch((error: unknown) => {
        if (!this.#stopped) this.options.log.warn({ err: error }, "old things could not all be deleted");
      })
      .finally(() => {
        this.#round = undefined;
      });
    return this.#round;
  }

  #next(ms: number): void {
    if (this.#stopped) return;
    this.#timer = setTimeout(() => {
      void this.run().then(() => this.#next(ROUND_MS));
    }, ms);
    this.#timer.unref();
  }

  async #work(): Promise<void> {
    const { config, databases, clock, forgetOld, log } = this.options;
    const goOn = () => !this.#stopped;
    const doubt = clock.doubt(shortest(config));
    if (doubt !== undefined) {
      const { problem, fix } = doubtInWords(doubt);
      log.warn(`${problem} ${fix}`);
    }
    // At a time before all times nothing is old; files are counted all the same.
    const now = doubt === undefined ? Date.now() : Number.NEGATIVE_INFINITY;
    const limits = cutoffs(config, now);
    if (doubt === undefined && hasRules(limits)) {
      const removed = await forgetOld(limits, goOn);
      if (Object.values(removed).some((count) => count > 0))
        log.info(removed, "deleted what is older than is kept");
    }
    await this.#sweep(now, limits.attachments, goOn);
    for (const database of databases) {
      const bytes = await releaseFreePages(database, async () => {
        await Bun.sleep(PAUSE_MS);
        return goOn();
      });
      if (bytes > 0) log.info({ bytes }, "gave room back to the file system");
    }
  }

  async #sweep(now: number, attachmentsBefore: number | undefined, goOn: () => boolean): Promise<void> {
    const { config, ownerOf, counted, onRemoved, log } = this.options;
    if (config.s3Host !== undefined || performance.now() < this.#sweptAt + SWEEP_EVERY_MS) return;
    let files = 0;
    let bytes = 0;
    await sweepFiles(
      { folder: join(config.dataDir, "files"), now, attachmentsBefore, ownerOf, counted },
      (what) => {
        files++;
        bytes += what.bytes;
      },
      goOn,
    );
    this.#sweptAt = performance.now();
    if (files === 0) return;
    onRemoved();
    log.info({ files, bytes }, "removed files that are too old or that nobody can reach");
  }
}
