// How a database is recognized, and whether it is ours to stamp. `own`: our mark in SQLite's header, and our own version numbers.
// `foreign`: the format of another program that may open the file before and after us. It is recognized by its version and its
// tables, never marked, and only ever added to.
import type { Database } from "bun:sqlite";
import { StorageError } from "./errors.ts";

export type DatabaseIdentity = OwnIdentity | ForeignIdentity;

export interface OwnIdentity {
  readonly kind: "own";
}

export interface ForeignIdentity {
  readonly kind: "foreign";
  /** Whose format it is, as people know it. */
  readonly format: string;
  /** PRAGMA user_version of the oldest file that can be taken over. The newest is the number of migrations. */
  readonly oldest: number;
  /** Tables that every file of this format has. */
  readonly tables: readonly string[];
  /** Tables that a file of the newest version has besides. */
  readonly newestTables?: readonly string[];
  /** Tables by which a file of before the format had numbers is known, so that it can be taken over too. */
  readonly unnumbered?: readonly string[];
  /** Makes a fresh file of the newest version, in place of all migrations. */
  readonly fresh: string;
  /** Our own additions, as statements that may be repeated (CREATE ... IF NOT EXISTS); the version number stays. */
  readonly additions?: string;
}

export const OWN: OwnIdentity = { kind: "own" };

/** "Rst1" in ASCII: marks the file as Roost's in SQLite's own header. */
export const APPLICATION_ID = 0x52737431;

/**
 * The version of an open database, 0 for an empty file.
 * @throws StorageError "foreign" for a file of another kind.
 */
export function currentVersion(sqlite: Database, path: string, identity: DatabaseIdentity = OWN): number {
  const number = (pragma: string) =>
    sqlite.query<Record<string, number>, []>(`PRAGMA ${pragma}`).get()?.[pragma] ?? 0;
  const id = number("application_id");
  const tables = new Set(
    sqlite
      .query<{ name: string }, []>("SELECT name FROM sqlite_schema")
      .all()
      .map(({ name }) => name),
  );
  const version = number("user_version");
  if (identity.kind === "own") {
    if (id !== APPLICATION_ID && (id !== 0 || tables.size > 0))
      throw new StorageError(
        "foreign",
        `The file ${path} is not a Roost database. Move it away, or choose another --data-dir.`,
      );
    return version;
  }
  if (id === 0 && version === 0 && tables.size === 0) return 0;
  const { format, oldest, unnumbered } = identity;
  const lacks = (expected: readonly string[]) => expected.some((table) => !tables.has(table));
  if (id === 0 && version === 0 && unnumbered !== undefined && !lacks(unnumbered)) return 0;
  if (id !== 0 || version < 1 || lacks(identity.tables))
    throw new StorageError(
      "foreign",
      `The file ${path} is not a database of ${format}. Move it away, or choose another folder.`,
    );
  if (version < oldest)
    throw new StorageError(
      "foreign",
      `The file ${path} was written by a ${format} that is too old (version ${version}, this Roost knows ${oldest} and later). Let a newer ${format} open it first; nothing was changed.`,
    );
  return version;
}

/**
 * The same, of a file that this executable can open.
 * @param newest the newest version that it knows.
 * @throws StorageError "newer" or "foreign".
 */
export function knownVersion(
  sqlite: Database,
  path: string,
  identity: DatabaseIdentity,
  newest: number,
): number {
  const version = currentVersion(sqlite, path, identity);
  if (version === newest && identity.kind === "foreign") requireTables(sqlite, path, identity);
  if (version <= newest) return version;
  const writer = identity.kind === "own" ? "Roost" : identity.format;
  throw new StorageError(
    "newer",
    `The database ${path} was written by a newer ${writer} (version ${version}, this one knows ${newest}). Use the newer executable; nothing was changed.`,
  );
}

/** A file that says it is whole and is not would fail in the middle of something. */
function requireTables(sqlite: Database, path: string, { format, newestTables = [] }: ForeignIdentity): void {
  const missing = newestTables.filter(
    (table) =>
      sqlite.query("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?").get(table) === null,
  );
  if (missing.length > 0)
    throw new StorageError(
      "foreign",
      `The file ${path} is not a whole database of ${format}: it lacks ${missing.join(", ")}. Nothing was changed.`,
    );
}

/** Whether nothing was ever made in it. */
export const isEmpty = (sqlite: Database): boolean =>
  sqlite.query("SELECT 1 FROM sqlite_schema LIMIT 1").get() === null;
