// One process at a time in a data folder. The lock is SQLite's own lock on a file of its own, so the system gives it back
// however the holder dies; there is no stale state to clean up.
import { Database } from "bun:sqlite";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isBusy, StorageError } from "./errors.ts";
import { removeHalfMade } from "./snapshot.ts";

export interface FolderLock {
  release(): void;
}

/** `flag` names another folder. @throws StorageError "in-use" when another process (or server in this one) holds the folder. */
export function lockFolder(folder: string, flag = "--data-dir"): FolderLock {
  const pidFile = join(folder, "roost.pid");
  const lock = new Database(join(folder, "roost.lock"), { create: true, strict: true });
  try {
    lock.run("PRAGMA busy_timeout = 0");
    lock.run("BEGIN EXCLUSIVE");
  } catch (error) {
    lock.close();
    if (!isBusy(error)) throw error;
    throw new StorageError(
      "in-use",
      `Another Roost${holder(pidFile)} is using the data folder ${folder}. Stop it, or give this one another folder with ${flag}.`,
    );
  }
  try {
    removeHalfMade(folder);
    writeFileSync(pidFile, `${process.pid}\n`, { mode: 0o600 });
  } catch (error) {
    lock.close();
    throw error;
  }
  return {
    release: () => {
      lock.close();
    },
  };
}

function holder(pidFile: string): string {
  try {
    return ` (process ${readFileSync(pidFile, "utf8").trim()})`;
  } catch {
    return "";
  }
}
