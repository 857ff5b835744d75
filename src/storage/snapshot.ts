// The copy of a database as it was before its schema changes. SQLite itself makes it through the open connection: to open or copy a
// live file past SQLite would drop every lock that this process holds on it (POSIX locks belong to the process, not to a handle).
// A copy is under its name only when it is whole, synced, and the change that it was made for is about to be committed.
import type { Database } from "bun:sqlite";
import { closeSync, fsyncSync, openSync, readdirSync, renameSync, rmSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { syncFolder } from "./durable-file.ts";

/** Copies that are kept beside each database: each is as large as the database was. */
const SNAPSHOTS_KEPT = 3;
const FILE_MODE = 0o600;
/** A copy that is not finished, and what SQLite has beside it meanwhile. */
const HALF_MADE = /\.db\.v\d+-[^/]+\.bak\.tmp(-journal|-wal|-shm)?$/;

/**
 * Runs `change` as one transaction with a copy of the file before it. @returns the copy's path.
 * @throws what the copy or the change throws; then nothing has changed and no copy is left.
 */
export function changeWithSnapshot(
  sqlite: Database,
  path: string,
  version: number,
  change: () => void,
): string {
  const snapshot = `${path}.v${version}-${new Date().toISOString().replace(/[:.]/g, "-")}.bak`;
  forgetOldSnapshots(path);
  try {
    copyInto(sqlite, `${snapshot}.tmp`);
    sqlite
      .transaction(() => {
        change();
        // Last of all, so that a process that is killed on the way leaves none that the next start would keep beside its own.
        renameSync(`${snapshot}.tmp`, snapshot);
        syncFolder(dirname(path));
      })
      .immediate();
  } catch (error) {
    for (const name of [snapshot, `${snapshot}.tmp`, `${snapshot}.tmp-journal`])
      rmSync(name, { force: true });
    throw error;
  }
  forgetOldSnapshots(path, snapshot);
  return snapshot;
}

/** A whole copy of what `sqlite` sees, for the owner's eyes only, on disk when this returns. @throws what SQLite or the disk throws. */
export function copyInto(sqlite: Database, target: string): void {
  // Made empty first: its mode is then right before the first byte is in it.
  closeSync(openSync(target, "wx", FILE_MODE));
  sqlite.query("VACUUM INTO ?").run(target);
  // Nobody but SQLite has opened it, and SQLite has closed it again: no lock is lost by this.
  const file = openSync(target, "r+");
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** Holds the copies of one database to their number; `newest` stays whatever the clock said when it was made. */
export function forgetOldSnapshots(path: string, newest?: string): void {
  const folder = dirname(path);
  const older = readdirSync(folder)
    .filter((name) => name.startsWith(`${basename(path)}.v`) && name.endsWith(".bak"))
    .map((name) => join(folder, name))
    .filter((file) => file !== newest)
    .map((file) => ({ file, at: statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0 }))
    .sort((a, b) => b.at - a.at || (a.file < b.file ? 1 : -1));
  for (const { file } of older.slice(newest === undefined ? SNAPSHOTS_KEPT : SNAPSHOTS_KEPT - 1))
    rmSync(file, { force: true });
}

/** What a killed process left of a copy. To be called by who holds the folder's lock: nobody else makes one then. */
export function removeHalfMade(folder: string): void {
  for (const name of readdirSync(folder))
    if (HALF_MADE.test(name)) rmSync(join(folder, name), { force: true });
}
