// The blob store that the configuration names: a bucket, or a folder of the data folder.
import { join } from "node:path";
import type { Logger } from "pino";
import type { PlaceConfig } from "../config/settings.ts";
import type { BlobStore } from "./blobs.ts";
import { LocalBlobs } from "./local-blobs.ts";
import { S3Blobs } from "./s3-blobs.ts";
import type { StorageConfig } from "./settings.ts";

export function openBlobs(config: StorageConfig & PlaceConfig, log: Logger): BlobStore {
  if (config.s3Host !== undefined) return new S3Blobs(config);
  const { dataDir, minFreeBytes } = config;
  return new LocalBlobs({ folder: join(dataDir, "files"), minFreeBytes, log });
}
