// For commands that work on a database whether or not a server runs: alone in the folder when they can be, else beside the server.
import { Database as Sqlite } from "bun:sqlite";
import { existsSync } from "node:fs";
import { StorageError } from "../storage/errors.ts";
import { type FolderLock, lockFolder } from "../storage/lock.ts";

/** A running server keeps the folder's lock; then the database must not need a migration under its feet. */
export function lockUnlessServed(dataDir: string, path: string, version: number): FolderLock | undefined {
  try {
    return lockFolder(dataDir);
  } catch (error) {
    if (!(error instanceof StorageError) || error.code !== "in-use") throw error;
    if (!existsSync(path)) return undefined;
    const file = new Sqlite(path, { readonly: true });
    file.run("PRAGMA busy_timeout = 5000");
    const { user_version: found } = file.query<{ user_version: number }, []>("PRAGMA user_version").get() ?? {
      user_version: 0,
    };
    file.close();
    if (found >= version) return undefined;
    throw new Error("The running server is older than this executable. Stop it first, then try again.");
  }
}
