// Opens the databases of a protocol for a server or a command: each for the owner's eyes only, brought up to date, closed together.
import { chmodSync, existsSync } from "node:fs";
import { join } from "node:path";
import { type Database, type DatabaseOptions, openDatabase } from "../storage/database.ts";
import { type DatabaseSpec, fileOf } from "./database-spec.ts";

export interface OpenOptions extends Pick<DatabaseOptions, "log" | "quota" | "sizes" | "commit"> {
  readonly dataDir: string;
}

/** @throws StorageError */
export async function openOne(spec: DatabaseSpec, { dataDir, ...options }: OpenOptions): Promise<Database> {
  const path = join(dataDir, fileOf(spec));
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

/** Those that are in the folder, by the name of their spec, for a command: every commit is synced by itself. @throws StorageError; then none is left open. */
export async function openThere(
  specs: readonly DatabaseSpec[],
  options: OpenOptions,
): Promise<Map<string, Database> & AsyncDisposable> {
  const opened = new Map<string, Database>();
  const close = async () => {
    for (const database of opened.values()) await database.close();
  };
  try {
    for (const spec of specs)
      if (existsSync(join(options.dataDir, fileOf(spec))))
        opened.set(spec.name, await openOne(spec, { ...options, commit: "blocking" }));
  } catch (error) {
    await close();
    throw error;
  }
  return Object.assign(opened, { [Symbol.asyncDispose]: close });
}
