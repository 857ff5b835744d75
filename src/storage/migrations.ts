// A database is at one numbered version. Opening an older one brings it up inside one transaction, after a snapshot of the old
// file; a newer one, or a file of another kind (identity.ts), is refused and not touched. The last step can be undone, again after a
// snapshot; in a foreign format nothing is undone, because its versions are not ours.
import type { Database } from "bun:sqlite";
import { isBusy } from "./errors.ts";
import {
  APPLICATION_ID,
  currentVersion,
  type DatabaseIdentity,
  isEmpty,
  knownVersion,
  OWN,
} from "./identity.ts";
import { changeWithSnapshot, forgetOldSnapshots } from "./snapshot.ts";

export interface Migration {
  /** File name without ending, such as `0001_first`; its number is its place in the list, from 1. */
  readonly name: string;
  readonly up: string;
  /** In place of `up`: a step of a foreign format that looks what is there before it changes it. */
  readonly step?: (sqlite: Database) => void;
  /** Undoes `up`; refuses by failing where newer data would be lost. */
  readonly down: string;
}

export interface MigrationReport {
  readonly from: number;
  readonly to: number;
  /** Path of the copy of the old file, when there was one to keep. */
  readonly snapshot?: string;
}

/** @throws StorageError "newer" or "foreign"; the file is then as it was. */
export function migrate(
  sqlite: Database,
  migrations: readonly Migration[],
  path: string,
  identity: DatabaseIdentity = OWN,
): MigrationReport {
  const to = migrations.length;
  const from = knownVersion(sqlite, path, identity, to);
  if (from === to) {
    // An earlier start may have ended before it did.
    forgetOldSnapshots(path);
    addTo(sqlite, identity);
    return { from, to };
  }
  const isNew = from === 0 && isEmpty(sqlite);
  const change = () => {
    if (isNew && identity.kind === "foreign") sqlite.run(identity.fresh);
    else
      for (const { up, step } of migrations.slice(from)) {
        if (step === undefined) sqlite.run(up);
        else step(sqlite);
      }
    sqlite.run(`PRAGMA user_version = ${to}`);
    if (identity.kind === "own") sqlite.run(`PRAGMA application_id = ${APPLICATION_ID}`);
    else if (identity.additions !== undefined) sqlite.run(identity.additions);
  };
  if (from > 0 || (identity.kind === "foreign" && !isNew))
    return { from, to, snapshot: changeWithSnapshot(sqlite, path, from, change) };
  sqlite.transaction(change).immediate();
  return { from, to };
}

function addTo(sqlite: Database, identity: DatabaseIdentity): void {
  if (identity.kind === "own" || identity.additions === undefined) return;
  const { additions } = identity;
  sqlite.transaction(() => sqlite.run(additions)).immediate();
}

/**
 * Undoes the last migration, so that the Roost before it can open the file.
 * @throws Error with a sentence when it cannot be undone, because newer data needs it; nothing is changed then.
 */
export function undoLast(
  sqlite: Database,
  migrations: readonly Migration[],
  path: string,
  identity: DatabaseIdentity = OWN,
): MigrationReport {
  if (identity.kind === "foreign")
    throw new Error(
      `The versions of ${path} are those of ${identity.format}: only that can undo them. Nothing was changed.`,
    );
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
