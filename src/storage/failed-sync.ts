// What a start knows of a sync that failed in the run before. A file beside the database says so; the start then moves what is left of the
// log into the database, which syncs it, has every page looked at, and forgets the file once that look has found nothing.
import type { Database } from "bun:sqlite";
import { rmSync, statSync } from "node:fs";
import { basename } from "node:path";
import type { Logger } from "pino";
import { writeFileDurably } from "./durable-file.ts";
import { heldError } from "./errors.ts";

const markerOf = (path: string) => `${path}-unsynced`;

/** For the next start. The disk is failing: where it takes not even this, the next start finds out by itself what is left. */
export function markFailedSync(path: string, sentence: string): void {
  try {
    writeFileDurably(markerOf(path), `${new Date().toISOString()} ${sentence}\n`, 0o600);
  } catch {
    // The log has said it.
  }
}

export const hasFailedSync = (path: string): boolean =>
  statSync(markerOf(path), { throwIfNoEntry: false })?.isFile() === true;

/** A look at every page has found nothing. */
export function forgetFailedSync(path: string): void {
  try {
    rmSync(markerOf(path), { force: true });
  } catch {
    // It may be somebody else's; the next start looks again, and nothing is wrong with that.
  }
}

/**
 * Moves the log as SQLite has recovered it, a beginning that its checksums prove, into the database, and syncs that: a sync of the log
 * alone may be told that all is well, by a system that has forgotten the pages. Under somebody who reads the log all the time it does not
 * start over after that, so it is also written again (`renew`). To be called before anybody is served.
 * @throws StorageError "held"; what the disk says
 */
export function moveLog(sqlite: Database, path: string, log: Logger, renew: () => void): void {
  const row = sqlite
    .query<{ busy: number; log: number; checkpointed: number }, []>("PRAGMA wal_checkpoint(FULL)")
    .get();
  if (row === null || row.busy !== 0 || row.log !== row.checkpointed) throw heldError(basename(path));
  // Nobody writes into it meanwhile, and it does not start over.
  sqlite.run("BEGIN IMMEDIATE");
  try {
    renew();
  } finally {
    sqlite.run("ROLLBACK");
  }
  log.warn(
    { file: basename(path) },
    "the disk refused to sync the log in the run before; what was acknowledged is there, what was refused may be there too, and every page is looked at now",
  );
}
