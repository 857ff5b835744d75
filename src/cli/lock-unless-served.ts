// For commands that work on a database whether or not a server runs: alone in the folder when they can be, else beside the server.
import { Database as Sqlite } from "bun:sqlite";
import { existsSync } from "node:fs";
import { StorageError } from "../storage/errors.ts";
import { type FolderLock, lockFolder } from "../storage/lock.ts";

export interface ExpectedVersion {
  readonly path: string;
  /** The newest that this executable knows. */
  readonly version: number;
}

/**
 * A running server keeps the folder's lock; then no database may need a migration under its feet.
 * @throws Error with a sentence when one does.
 */
export function lockUnlessServed(
  dataDir: string,
  databases: readonly ExpectedVersion[],
  lock: () => FolderLock = () => lockFolder(dataDir),
): FolderLock | undefined {
  try {
    return lock();
  } catch (error) {
    if (!(error instanceof StorageError) || error.code !== "in-use") throw error;
    for (const { path, version } of databases) {
      if (!existsSync(path)) continue;
      const file = new Sqlite(path, { readonly: true });
      file.run("PRAGMA busy_timeout = 5000");
      const found = file.query<{ user_version: number }, []>("PRAGMA user_version").get()?.user_version ?? 0;
      file.close();
      if (found < version)
        throw new Error("The running server is older than this executable. Stop it first, then try again.");
    }
    return undefined;
  }
}
