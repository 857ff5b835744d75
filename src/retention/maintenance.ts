// Everything that looks after the data while the server runs: the storage maximum, retention of every protocol, and scheduled backups.
import { join } from "node:path";
import type { Logger } from "pino";
import { BackupSchedule } from "../backup/schedule.ts";
import type { BackupConfig } from "../backup/settings.ts";
import type { PlaceConfig } from "../config/settings.ts";
import type { BlobStore } from "../storage/blobs.ts";
import type { Database } from "../storage/database.ts";
import { MeteredBlobs } from "../storage/metered-blobs.ts";
import type { Quota } from "../storage/quota.ts";
import type { StorageConfig } from "../storage/settings.ts";
import type { BlobOwners } from "./blob-owners.ts";
import type { RetentionClock } from "./clock.ts";
import { StorageGauge } from "./gauge.ts";
import { RetentionJob } from "./job.ts";
import type { Retention } from "./retention.ts";
import { SweepJob } from "./sweep-job.ts";

export interface MaintenanceParts {
  readonly config: PlaceConfig & StorageConfig & BackupConfig;
  /** By the name of a setting: folders elsewhere, for backups. */
  readonly homes?: Readonly<Record<string, string>>;
  /** Folders of files beside databases: they count against the maximum. */
  readonly folders?: readonly string[];
  readonly quota: Quota;
  readonly log: Logger;
}

export interface Kept {
  readonly databases: readonly Database[];
  readonly retentions: readonly {
    readonly retention: Retention;
    readonly clock: RetentionClock;
    readonly log: Logger;
    /** Where the protocol has blobs: they go by its clock. */
    readonly owners?: BlobOwners | undefined;
  }[];
}

export class Maintenance {
  #gauge: StorageGauge | undefined;

  constructor(private readonly parts: MaintenanceParts) {}

  /** Blobs in the data folder count against the maximum; those in a bucket do not. */
  metered(blobs: BlobStore): BlobStore {
    const { config, quota } = this.parts;
    return config.s3Host === undefined ? new MeteredBlobs(blobs, quota, () => this.#gauge?.removed()) : blobs;
  }

  /** @returns how to stop it all, which waits for what is under way. */
  start({ databases, retentions }: Kept): () => Promise<void> {
    const { config, homes, folders: beside = [], quota, log } = this.parts;
    const folders = config.s3Host === undefined ? [join(config.dataDir, "files"), ...beside] : beside;
    const gauge = new StorageGauge({ quota, databases, folders, log });
    this.#gauge = gauge;
    const isNowBelieved = async () => {
      for (const { retention, clock, owners } of retentions)
        if (owners !== undefined && (await clock.look(retention.shortestMs())) !== undefined) return false;
      return true;
    };
    const onRemoved = () => gauge.removed();
    const owners = retentions.flatMap((one) => one.owners ?? []);
    const jobs = [
      gauge,
      ...retentions.map((one) => new RetentionJob(one)),
      new SweepJob({ config, databases, owners, isNowBelieved, onRemoved, log }),
      new BackupSchedule(config, log, { homes }),
    ];
    for (const job of jobs) job.start();
    return async () => {
      await Promise.all(jobs.map((job) => job.stop()));
    };
  }
}
