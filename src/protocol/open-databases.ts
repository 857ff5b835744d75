// Opens the databases of a protocol for a server or a command: each for the owner's eyes only, brought up to date, closed together.
import { chmodSync, existsSync } from "node:fs";
import { type Database, type DatabaseOptions, openDatabase } from "../storage/database.ts";
import type { PlacedDatabase } from "./places.ts";

export type OpenOptions = Pick<DatabaseOptions, "log" | "quota" | "sizes" | "commit">;

/** @throws StorageError */
export async function openOne({ spec, path }: PlacedDatabase, options: OpenOptions): Promise<Database> {
  const migrations = await spec.migrations();
  const database = openDatabase({ path, migrations, identity: spec.identity, ...options });
  try {
    chmodSync(path, 0o600);
  } catch (error) {
    await database.close();
    throw error;
  }
  return database;
}

/** Those that are there, by the name of their spec, for a command: every commit is synced by itself. @throws StorageError; then none is left open. */
export async function openThere(
  places: readonly PlacedDatabase[],
  options: OpenOptions,
): Promise<Map<string, Database> & AsyncDisposable> {
  const opened = new Map<string, Database>();
  const close = async () => {
    for (const database of opened.values()) await database.close();
  };
  try {
    for (const place of places)
      if (existsSync(place.path))
        opened.set(place.spec.name, await openOne(place, { ...options, commit: "blocking" }));
  } catch (error) {
    await close();
    throw error;
  }
  return Object.assign(opened, { [Symbol.asyncDispose]: close });
}
