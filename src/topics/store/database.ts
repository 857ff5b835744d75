// The protocol's own database in the data folder, for the owner's eyes only.
import { chmodSync } from "node:fs";
import { join } from "node:path";
import type { Logger } from "pino";
import { type Database, openDatabase } from "../../storage/database.ts";
import type { Quota } from "../../storage/quota.ts";
import { migrations } from "./migrations.ts";

export const topicsPath = (dataDir: string): string => join(dataDir, "topics.db");

/** @throws StorageError */
export function openTopicsDatabase(dataDir: string, log: Logger, quota?: Quota): Database {
  const path = topicsPath(dataDir);
  const database = openDatabase({ path, migrations, log, commit: "blocking", ...(quota && { quota }) });
  chmodSync(path, 0o600);
  return database;
}
