// Everything that looks after the data while the server runs: the storage maximum, retention, and scheduled backups.
import { join } from "node:path";
import type { Logger } from "pino";
import { BackupSchedule } from "../backup/schedule.ts";
import type { Config } from "../config/settings.ts";
import type { BlobStore } from "../storage/blobs.ts";
import type { Database } from "../storage/database.ts";
import { MeteredBlobs } from "../storage/metered-blobs.ts";
import type { Quota } from "../storage/quota.ts";
import type { FilesFound, SessionOwner } from "./blob-sweep.ts";
import type { RetentionClock } from "./clock.ts";
import { StorageGauge } from "./gauge.ts";
import { RetentionJob } from "./job.ts";
import type { Cutoffs } from "./rules.ts";

export interface KeepingParts {
  readonly config: Config;
  readonly quota: Quota;
  readonly log: Logger;
}

export interface Kept {
  readonly databases: readonly Database[];
  readonly clock: RetentionClock;
  readonly forgetOld: (limits: Cutoffs, goOn: () => boolean) => Promise<object>;
  readonly ownerOf: (sessionId: string) => SessionOwner | undefined;
  /** Hears, of each session with files, what it has. */
  readonly counted: (sessionId: string, found: FilesFound) => Promise<void>;
}

export class Maintenance {
  #gauge: StorageGauge | undefined;

  constructor(private readonly parts: KeepingParts) {}

  /** Blobs in the data folder count against the maximum; those in a bucket do not. */
  metered(blobs: BlobStore): BlobStore {
    const { config, quota } = this.parts;
    return config.s3Host === undefined ? new MeteredBlobs(blobs, quota, () => this.#gauge?.removed()) : blobs;
  }

  /** @returns how to stop it all, which waits for what is under way. */
  start({ databases, clock, forgetOld, ownerOf, counted }: Kept): () => Promise<void> {
    const { config, quota, log } = this.parts;
    const blobFolder = config.s3Host === undefined ? join(config.dataDir, "files") : undefined;
    const gauge = new StorageGauge({ quota, databases, blobFolder, log });
    this.#gauge = gauge;
    const onRemoved = () => gauge.removed();
    const job = new RetentionJob({ config, databases, clock, forgetOld, ownerOf, counted, onRemoved, log });
    const schedule = new BackupSchedule(config, log);
    gauge.start();
    job.start();
    schedule.start();
    return async () => {
      await Promise.all([gauge.stop(), job.stop(), schedule.stop()]);
    };
  }
}
