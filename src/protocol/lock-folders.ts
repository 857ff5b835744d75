// One Roost at a time in the data folder and in every folder of a database's own, and nobody else in a database that another program
// writes too.
import { existsSync } from "node:fs";
import { StorageError } from "../storage/errors.ts";
import { isHeldElsewhere } from "../storage/held-elsewhere.ts";
import { type FolderLock, lockFolder } from "../storage/lock.ts";
import type { PlacedDatabase } from "./places.ts";

/**
 * Locks the data folder and those homes that are there.
 * @throws StorageError "in-use" when another Roost holds one of them, "held" when another program has such a database open; then
 * nothing is locked.
 */
export function lockFolders(dataDir: string, places: readonly PlacedDatabase[]): FolderLock {
  const lock = lockFolder(dataDir);
  try {
    const homes = lockHomes(places);
    return {
      release: () => {
        homes.release();
        lock.release();
      },
    };
  } catch (error) {
    lock.release();
    throw error;
  }
}

/** The homes alone, by who holds the data folder. @throws as lockFolders */
export function lockHomes(places: readonly PlacedDatabase[]): FolderLock {
  const locks = new Map<string, FolderLock>();
  const release = () => {
    for (const lock of locks.values()) lock.release();
  };
  try {
    for (const { home, folder, path, spec } of places) {
      if (home === undefined || locks.has(folder) || !existsSync(folder)) continue;
      locks.set(folder, lockFolder(folder, home.flag));
      if (spec.identity.kind === "foreign" && isHeldElsewhere(path))
        throw new StorageError(
          "held",
          `Another program has the database ${path} open, as ${spec.identity.format} does while it runs. Stop it first, or name another folder with ${home.flag}.`,
        );
    }
    return { release };
  } catch (error) {
    release();
    throw error;
  }
}
