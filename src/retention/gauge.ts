// Measures in the background how much the data folder holds: databases often, because that is two pragmas; blobs seldom, because it is
// a walk over every file. Free pages inside a database do not count: deleting makes room at once, long before the file shrinks.
import type { Logger } from "pino";
import { filesBelow } from "../storage/blob-files.ts";
import type { Database } from "../storage/database.ts";
import type { Quota } from "../storage/quota.ts";

const MEASURE_EVERY_MS = 2_000;
/** A walk takes at most this share of the time. */
const WALK_SHARE = 0.02;
const WALK_EVERY_MS = 60_000;
/** After blobs were removed: several that go together are one walk. */
const SOON_MS = 1_000;

export interface GaugeOptions {
  readonly quota: Quota;
  readonly databases: readonly Pick<Database, "usedBytes">[];
  /** Folders of files: of the blobs, unless they are elsewhere, and of homes. */
  readonly folders: readonly string[];
  readonly log: Logger;
}

export class StorageGauge {
  #timer: Timer | undefined;
  #walkAt = 0;
  #walking: Promise<void> | undefined;
  #refused = "";
  #stopped = false;

  constructor(private readonly options: GaugeOptions) {}

  /** Databases are measured before it returns; blobs take as long as they take, and nobody waits for them. */
  start(): void {
    this.#look();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#walking;
  }

  /** Blobs went away: look again soon. */
  removed(): void {
    this.#walkAt = Math.min(this.#walkAt, performance.now() + SOON_MS);
  }

  /** Databases now; blobs when it is time. */
  async measure(): Promise<void> {
    const { quota, databases } = this.options;
    quota.databaseBytes = databases.reduce((sum, database) => sum + database.usedBytes(), 0);
    if (performance.now() >= this.#walkAt) {
      this.#walking ??= this.#walk().finally(() => {
        this.#walking = undefined;
      });
      await this.#walking;
    }
    this.#tell();
  }

  #look(): void {
    const measured = this.options.quota.isLimited ? this.measure() : Promise.resolve();
    void measured
      .catch((error: unknown) =>
        this.options.log.warn({ err: error }, "the data folder could not be measured"),
      )
      .finally(() => {
        if (this.#stopped) return;
        this.#timer = setTimeout(() => this.#look(), MEASURE_EVERY_MS);
        this.#timer.unref();
      });
  }

  async #walk(): Promise<void> {
    const { quota, folders } = this.options;
    const began = performance.now();
    const before = quota.blobBytes;
    // Set first: what is removed while the walk goes by asks for another one.
    this.#walkAt = began + WALK_EVERY_MS;
    let bytes = 0;
    for (const folder of folders) bytes += (await filesBelow(folder, () => !this.#stopped)).bytes;
    if (this.#stopped) return;
    // Uploads that ended meanwhile may be in the sum or not: better twice than not at all.
    quota.blobBytes = bytes + Math.max(0, quota.blobBytes - before);
    const took = performance.now() - began;
    if (this.#walkAt === began + WALK_EVERY_MS)
      this.#walkAt = began + Math.max(WALK_EVERY_MS, took / WALK_SHARE);
  }

  #tell(): void {
    const { quota, log } = this.options;
    const refused = quota.refused().join(", ");
    if (refused === this.#refused) return;
    this.#refused = refused;
    const facts = { usedBytes: quota.usedBytes, refused };
    if (refused === "") log.info(facts, "there is room again below the storage maximum");
    else log.warn(facts, "the storage maximum is near: some requests are refused");
  }
}
