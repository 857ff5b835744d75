// Looks at a copy of a database without changing it or leaving anything beside it: is it sound, is it ours, and which version is it.
import { constants, Database } from "bun:sqlite";
import { pathToFileURL } from "node:url";
import { StorageError } from "../storage/errors.ts";
import { currentVersion } from "../storage/identity.ts";
import type { KnownDatabase } from "./known-database.ts";

/** The copy must have no log beside it. @throws Error with a sentence when it is not sound. @returns its schema version. */
export function checkCopy(
  path: string,
  { file: name, identity }: KnownDatabase,
  look: (sqlite: Database) => void = () => {},
): number {
  const isNot = `${name} in the archive is not a ${identity.kind === "own" ? "Roost" : identity.format} database.`;
  try {
    // Nobody else uses the copy: without locks, and so without a log and its index, which a reading connection would leave behind.
    const address = `${pathToFileURL(path).href}?immutable=1`;
    using sqlite = new Database(address, constants.SQLITE_OPEN_READONLY | constants.SQLITE_OPEN_URI);
    sqlite.run("PRAGMA cache_size = -16384");
    const version = currentVersion(sqlite, path, identity);
    if (version < 1) throw new Error(isNot);
    const answers = sqlite.query<{ integrity_check: string }, []>("PRAGMA integrity_check").all();
    const [first] = answers;
    if (answers.length !== 1 || first?.integrity_check !== "ok")
      throw new Error(
        `${name} in the archive is damaged: ${first?.integrity_check ?? "it could not be checked"}.`,
      );
    look(sqlite);
    return version;
  } catch (error) {
    if (error instanceof StorageError) throw new Error(isNot);
    if (error instanceof Error && "code" in error && String(error.code).startsWith("SQLITE_"))
      throw new Error(`${name} in the archive is damaged: ${error.message}.`);
    throw error;
  }
}
