// What this process still holds of a database whose files were replaced or deleted under it: everything that was acknowledged is in
// its open files, and would be gone with them. It goes back where it belongs when that is safe, else into a file of its own.
import type { Database } from "bun:sqlite";
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { syncFolder } from "./durable-file.ts";
import { type LiveFiles, pathOf } from "./live-files.ts";
import { copyInto } from "./snapshot.ts";

export interface Rescue {
  /** What became of it, for the log. */
  readonly sentence: string;
  /** Path of the file of its own, when there is one. */
  readonly file?: string;
}

/**
 * Moves what was acknowledged into the database file, where that is safe: nobody has begun another log, and nobody but this process
 * (`movedOurselves`) has written into the file since all was well. @returns whether it is all there now.
 */
export function putBack(sqlite: Database, files: LiveFiles, movedOurselves: boolean): boolean {
  const { database, log, index } = files.standings();
  if (database !== "ours" || log !== "missing" || index === "replaced") return false;
  if (!movedOurselves && !files.isDatabaseUntouched()) return false;
  try {
    const [row] = sqlite.query<{ busy: number }, []>("PRAGMA wal_checkpoint(TRUNCATE)").all();
    return row?.busy === 0;
  } catch {
    // A copy may still be possible.
    return false;
  }
}

/** For what could not be put back. Never throws: what cannot be saved is said. */
export function rescue(sqlite: Database, files: LiveFiles, path: string): Rescue {
  const { database, log, index } = files.standings();
  const name = basename(path);
  if (database === "ours" && log === "ours" && index === "missing")
    return { sentence: `${name} and its log are whole; nothing is lost` };
  const file = `${path}${RESCUED}${new Date().toISOString().replace(/[:.]/g, "-")}`;
  try {
    copyAside(sqlite, file);
    return {
      sentence: `what was acknowledged is kept in ${basename(file)}; compare it with ${name} before either is used`,
      file,
    };
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    return { sentence: `what was acknowledged could not be kept: ${problem}` };
  } finally {
    if (database !== "ours") takeAwaySideFiles(files, path, file);
  }
}

const RESCUED = ".rescued-";

/** Files that earlier runs have kept beside this database. */
export function rescuedFiles(path: string): string[] {
  const folder = dirname(path);
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter(
      (name) => name.startsWith(`${basename(path)}${RESCUED}`) && !/-(wal|shm|journal)$|\.tmp$/.test(name),
    )
    .map((name) => join(folder, name));
}

function copyAside(sqlite: Database, file: string): void {
  const folder = dirname(file);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  try {
    copyInto(sqlite, `${file}.tmp`);
  } catch (error) {
    for (const name of [`${file}.tmp`, `${file}.tmp-journal`]) rmSync(name, { force: true });
    throw error;
  }
  renameSync(`${file}.tmp`, file);
  syncFolder(folder);
}

/** Another file has the database's name now, or soon: our log beside it would be taken for its own, and ruin it. */
function takeAwaySideFiles(files: LiveFiles, path: string, file: string): void {
  const standings = files.standings();
  for (const [part, suffix] of [
    ["log", "wal"],
    ["index", "shm"],
  ] as const)
    if (standings[part] === "ours") renameSync(pathOf(path, part), `${file}.old-${suffix}`);
}
