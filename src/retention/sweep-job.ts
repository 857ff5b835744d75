// What the server does about room while it runs: removes files that are too old or that nobody can reach, and gives the room of deleted
// rows back to the file system.
import { join } from "node:path";
import type { Logger } from "pino";
import type { PlaceConfig } from "../config/settings.ts";
import type { Database } from "../storage/database.ts";
import type { StorageConfig } from "../storage/settings.ts";
import type { BlobOwners } from "./blob-owners.ts";
import { sweepFiles } from "./blob-sweep.ts";
import { releaseFreePages } from "./free-pages.ts";
import { Rounds } from "./rounds.ts";

/** Every file is looked at then. */
const SWEEP_EVERY_MS = 6 * 3_600_000;
const PAUSE_MS = 10;

export interface SweepJobOptions {
  readonly config: Pick<StorageConfig, "s3Host"> & Pick<PlaceConfig, "dataDir">;
  readonly databases: readonly Database[];
  readonly owners: readonly BlobOwners[];
  /** False while no file may go by its age, because the clock cannot be believed. */
  readonly isNowBelieved: () => Promise<boolean>;
  /** Called when files went away. */
  readonly onRemoved: () => void;
  readonly log: Logger;
}

export class SweepJob extends Rounds {
  readonly #options: SweepJobOptions;
  /** Of performance.now(): the clock may be set. */
  #sweptAt = Number.NEGATIVE_INFINITY;

  constructor(options: SweepJobOptions) {
    super({
      work: (goOn) => this.#work(goOn),
      problem: "files could not all be swept",
      log: options.log,
    });
    this.#options = options;
  }

  async #work(goOn: () => boolean): Promise<void> {
    const { databases, log } = this.#options;
    await this.#sweep(goOn);
    for (const database of databases) {
      const bytes = await releaseFreePages(database, async () => {
        await Bun.sleep(PAUSE_MS);
        return goOn();
      });
      if (bytes > 0) log.info({ bytes }, "gave room back to the file system");
    }
  }

  async #sweep(goOn: () => boolean): Promise<void> {
    const { config, owners, isNowBelieved, onRemoved, log } = this.#options;
    if (config.s3Host !== undefined || performance.now() < this.#sweptAt + SWEEP_EVERY_MS) return;
    // At a time before all times nothing is old; files are counted all the same.
    const now = (await isNowBelieved()) ? Date.now() : Number.NEGATIVE_INFINITY;
    let files = 0;
    let bytes = 0;
    await sweepFiles(
      { folder: join(config.dataDir, "files"), now, owners },
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
