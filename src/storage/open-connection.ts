// Opens a connection the one way Roost opens files: WAL, synchronous=FULL, foreign keys on. Whoever opens one waits for another
// program's lock; from `settle` on nothing on this thread waits for more than a few milliseconds, and commits wait for the disk only
// where the log is not synced beside them (log-sync.ts).
import type { Database as Sqlite } from "bun:sqlite";
import { Connection } from "./connection.ts";
import { asStorageError, isBusy, StorageError } from "./errors.ts";
import { type DatabaseIdentity, knownVersion, OWN } from "./identity.ts";
import type { Commit } from "./settings.ts";

/** While nobody is served yet. */
const OPENING_WAIT_MS = 5_000;
/** A reader meets a lock only for the moment in which another program recovers the log. */
const READING_WAIT_MS = 5;

/** @throws StorageError "foreign", "damaged" or "held", each with a sentence for the person. */
export function openConnection(
  path: string,
  identity: DatabaseIdentity = OWN,
  newest = Number.POSITIVE_INFINITY,
): Sqlite {
  const sqlite = new Connection(path, { create: true, readwrite: true, strict: true });
  try {
    sqlite.run(`PRAGMA busy_timeout = ${OPENING_WAIT_MS}`);
    // Looks first: both pragmas write, and a file of somebody else or of a newer Roost is left as it is.
    const isNew = knownVersion(sqlite, path, identity, newest) === 0;
    // Must come before WAL. A foreign format has its own header.
    if (isNew && identity.kind === "own") sqlite.run("PRAGMA auto_vacuum = INCREMENTAL");
    sqlite.run("PRAGMA journal_mode = WAL");
  } catch (error) {
    sqlite.close();
    throw explained(error, path);
  }
  sqlite.run("PRAGMA synchronous = FULL");
  // Where a sync reaches the drive's own memory only, which is macOS.
  sqlite.run("PRAGMA fullfsync = ON");
  sqlite.run("PRAGMA checkpoint_fullfsync = ON");
  sqlite.run("PRAGMA foreign_keys = ON");
  sqlite.run("PRAGMA cache_size = -4096");
  sqlite.run("PRAGMA temp_store = MEMORY");
  sqlite.run("PRAGMA journal_size_limit = 67108864");
  // The Checkpointer does it, apart from the commit that somebody waits for.
  sqlite.run("PRAGMA wal_autocheckpoint = 0");
  return sqlite;
}

/** The Writer waits for locks itself, off the event loop. NORMAL: commits are made durable by LogSync, checkpoints by SQLite. */
export function settle(connection: Sqlite, reading: Sqlite, commit: Commit): void {
  if (commit === "pipelined") connection.run("PRAGMA synchronous = NORMAL");
  connection.run("PRAGMA busy_timeout = 0");
  reading.run("PRAGMA query_only = ON");
  reading.run(`PRAGMA busy_timeout = ${READING_WAIT_MS}`);
}

/** What went wrong while a database was opened, as a sentence for the person who starts the server. */
export function explained(error: unknown, path: string): unknown {
  if (isBusy(error))
    return new StorageError("held", `Another program holds the database ${path}. End it, then start again.`, {
      cause: error,
    });
  if (error instanceof StorageError) return error;
  const known = asStorageError(error);
  if (known instanceof StorageError && known.code !== "damaged") return known;
  const problem = error instanceof Error ? error.message : String(error);
  return new StorageError("damaged", `The file ${path} cannot be opened as a database: ${problem}.`, {
    cause: error,
  });
}
