// One SQLite file, opened the one way Roost opens files: WAL, synchronous=FULL, foreign keys on. One connection writes through
// the Writer; another only reads, and so sees committed rows only.
import { Database as Sqlite } from "bun:sqlite";
import { drizzle } from "drizzle-orm/bun-sqlite";
import type { Logger } from "pino";
import { ValueSizes } from "../limits/value-sizes.ts";
import { Checkpointer } from "./checkpoint.ts";
import { asStorageError, StorageError } from "./errors.ts";
import { currentVersion, type Migration, type MigrationReport, migrate } from "./migrations.ts";
import type { Db } from "./query.ts";
import { Quota } from "./quota.ts";
import { Writer } from "./writer.ts";

export interface Database {
  readonly path: string;
  readonly writer: Writer;
  /** Committed rows only. */
  readonly reads: Db;
  readonly migration: MigrationReport;
  /** Asked by store functions before something grows. */
  readonly quota: Quota;
  /** Asked by store functions before they store what a client sent. */
  readonly sizes: ValueSizes;
  /** Commits, checkpoints and closes. Later calls reject. */
  close(): Promise<void>;
}

export interface DatabaseOptions {
  readonly path: string;
  readonly migrations: readonly Migration[];
  readonly log: Logger;
  /** Without one there is no maximum. */
  readonly quota?: Quota;
  /** Without it the default limits hold. */
  readonly sizes?: ValueSizes;
}

/** @throws StorageError "newer", "foreign" or "damaged", each with a sentence for the person. */
export function openDatabase({
  path,
  migrations,
  log,
  quota = new Quota(),
  sizes = new ValueSizes(),
}: DatabaseOptions): Database {
  const connection = open(path);
  let migration: MigrationReport;
  try {
    migration = migrate(connection, migrations, path);
  } catch (error) {
    connection.close();
    throw asStorageError(error);
  }
  const reading = open(path);
  reading.run("PRAGMA query_only = ON");
  const checkpointer = new Checkpointer(connection, path, log);
  const writer = new Writer(connection, drizzle({ client: connection }), log, () => checkpointer.committed());
  return {
    path,
    writer,
    reads: drizzle({ client: reading }),
    migration,
    quota,
    sizes,
    close: async () => {
      writer.close();
      await checkpointer.stop();
      reading.close();
      // Whoever replicates the log reads it all the time: a stop does not wait for that, and leaves the log to the next start.
      connection.run("PRAGMA busy_timeout = 200");
      connection.run("PRAGMA wal_checkpoint(TRUNCATE)");
      connection.close();
    },
  };
}

function open(path: string): Sqlite {
  const sqlite = new Sqlite(path, { create: true, readwrite: true, strict: true });
  try {
    // Looks first: both pragmas write, and a file of somebody else or of a newer Roost is left as it is.
    const isNew = currentVersion(sqlite, path) === 0;
    // Must come before WAL.
    if (isNew) sqlite.run("PRAGMA auto_vacuum = INCREMENTAL");
    sqlite.run("PRAGMA journal_mode = WAL");
  } catch (error) {
    sqlite.close();
    const known = asStorageError(error);
    if (known instanceof StorageError) throw known;
    throw new StorageError(
      "damaged",
      `The file ${path} cannot be opened as a database: ${messageOf(error)}.`,
      { cause: error },
    );
  }
  sqlite.run("PRAGMA synchronous = FULL");
  sqlite.run("PRAGMA foreign_keys = ON");
  sqlite.run("PRAGMA busy_timeout = 5000");
  sqlite.run("PRAGMA cache_size = -4096");
  sqlite.run("PRAGMA temp_store = MEMORY");
  sqlite.run("PRAGMA journal_size_limit = 67108864");
  // The Checkpointer does it, apart from the commit that somebody waits for.
  sqlite.run("PRAGMA wal_autocheckpoint = 0");
  return sqlite;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
