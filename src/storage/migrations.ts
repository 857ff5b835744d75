// A database is at one numbered version. Opening an older one brings it up inside one transaction, after a snapshot of the old
// file; a newer one, or a file that is not ours, is refused and not touched. The last step can be undone, again after a snapshot.
import type { Database } from "bun:sqlite";
import { isBusy, StorageError } from "./errors.ts";
import { changeWithSnapshot, forgetOldSnapshots } from "./snapshot.ts";

export interface Migration {
  /** File name without ending, such as `0001_first`; its number is its place in the list, from 1. */
  readonly name: string;
  readonly up: string;
  /** Undoes `up`; refuses by failing where newer data would be lost. */
  readonly down: string;
}

export interface MigrationReport {
  readonly from: number;
  readonly to: number;
  /** Path of the copy of the old file, when there was one to keep. */
  readonly snapshot?: string;
}

/** "Rst1" in ASCII: marks the file as Roost's in SQLite's own header. */
const APPLICATION_ID = 0x52737431;

/** @throws StorageError "newer" or "foreign"; the file is then as it was. */
export function migrate(sqlite: Database, migrations: readonly Migration[], path: string): MigrationReport {
  const from = currentVersion(sqlite, path);
  const to = migrations.length;
  if (from > to) {
    throw new StorageError(
      "newer",
      `The database ${path} was written by a newer Roost (version ${from}, this one knows ${to}). Use the newer executable; nothing was changed.`,
    );
  }
  if (from === to) {
    // An earlier start may have ended before it did.
    forgetOldSnapshots(path);
    return { from, to };
  }
  const change = () => {
    for (const migration of migrations.slice(from)) sqlite.run(migration.up);
    sqlite.run(`PRAGMA user_version = ${to}`);
    sqlite.run(`PRAGMA application_id = ${APPLICATION_ID}`);
  };
  if (from > 0) return { from, to, snapshot: changeWithSnapshot(sqlite, path, from, change) };
  sqlite.transaction(change).immediate();
  return { from, to };
}

/**
 * Undoes the last migration, so that the Roost before it can open the file.
 * @throws Error with a sentence when it cannot be undone, because newer data needs it; nothing is changed then.
 */
export function undoLast(sqlite: Database, migrations: readonly Migration[], path: string): MigrationReport {
  const from = currentVersion(sqlite, path);
  const last = migrations[from - 1];
  if (from > migrations.length || last === undefined)
    throw new Error(`Version ${from} of ${path} is not known to this Roost. Nothing was changed.`);
  if (from === 1) throw new Error(`${last.name} cannot be undone: nothing comes before it.`);
  try {
    const snapshot = changeWithSnapshot(sqlite, path, from, () => {
      sqlite.run(last.down);
      sqlite.run(`PRAGMA user_version = ${from - 1}`);
    });
    return { from, to: from - 1, snapshot };
  } catch (error) {
    const problem = isBusy(error)
      ? "another program holds the database"
      : error instanceof Error
        ? error.message
        : String(error);
    throw new Error(`${last.name} cannot be undone: ${inWords(problem)}. Nothing was changed.`, {
      cause: error,
    });
  }
}

/** A guard in a down migration is a constraint whose name says what must hold. */
const inWords = (problem: string) =>
  problem.replace(
    /^CHECK constraint failed: (\w+)$/,
    (_, name: string) => `it needs that ${name.replaceAll("_", " ")}`,
  );

/** The version of an open database, 0 for an empty file. */
export function currentVersion(sqlite: Database, path: string): number {
  const number = (pragma: string) =>
    sqlite.query<Record<string, number>, []>(`PRAGMA ${pragma}`).get()?.[pragma] ?? 0;
  const id = number("application_id");
  const tables = sqlite.query<{ n: number }, []>("SELECT count(*) AS n FROM sqlite_schema").get()?.n ?? 0;
  if (id !== APPLICATION_ID && (id !== 0 || tables > 0)) {
    throw new StorageError(
      "foreign",
      `The file ${path} is not a Roost database. Move it away, or choose another --data-dir.`,
    );
  }
  return number("user_version");
}
