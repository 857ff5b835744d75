// The blob store that the configuration names: a bucket, or a folder of the data folder.
import { join } from "node:path";
import type { Logger } from "pino";
import type { Config } from "../config/settings.ts";
import type { BlobStore } from "./blobs.ts";
import { LocalBlobs } from "./local-blobs.ts";
import { S3Blobs } from "./s3-blobs.ts";

export function openBlobs(config: Config, log: Logger): BlobStore {
  if (config.s3Host !== undefined) return new S3Blobs(config);
  const { dataDir, minFreeBytes } = config;
  return new LocalBlobs({ folder: join(dataDir, "files"), minFreeBytes, log });
}
