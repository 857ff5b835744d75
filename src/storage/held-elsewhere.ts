// Whether another process has a database open, though it may be doing nothing with it: SQLite gives an exclusive lock only where nobody
// else has any. For files whose format another program writes too, and takes no lock of ours.
import { Database } from "bun:sqlite";
import { existsSync } from "node:fs";
import { isBusy } from "./errors.ts";

/** To be asked before this process opens the file. Anything else that is wrong with it is for who opens it. */
export function isHeldElsewhere(path: string): boolean {
  if (!existsSync(path)) return false;
  const sqlite = new Database(path, { readwrite: true, create: false });
  try {
    sqlite.run("PRAGMA busy_timeout = 0");
    sqlite.run("PRAGMA locking_mode = EXCLUSIVE");
    // The first read takes the lock.
    sqlite.query("SELECT 1 FROM sqlite_schema LIMIT 1").get();
    return false;
  } catch (error) {
    return isBusy(error);
  } finally {
    sqlite.close();
  }
}
