// What a backup must know of a database to copy, drill and restore it. A database in the folder that is not known is treated as our own
// of any version, without questions.
import { join } from "node:path";
import { type DatabaseIdentity, OWN } from "../storage/identity.ts";
import type { HighWaterQuestion } from "./high-water.ts";

export interface KnownDatabase {
  /** As archives call it: in the data folder, or in a folder of its own (`notes/notes.db`). */
  readonly file: string;
  readonly identity: DatabaseIdentity;
  /** The newest version that this executable can open. */
  readonly newest: number;
  readonly highWater: readonly HighWaterQuestion[];
  /** Small YAML files of the data folder that say how it is served. */
  readonly configured?: readonly string[] | undefined;
  /** The folder of its own. */
  readonly home?: KnownHome | undefined;
}

export interface KnownHome {
  /** As archives call it. */
  readonly name: string;
  /** Where it is. */
  readonly folder: string;
  /** Names another one. */
  readonly flag: string;
  /** Not below the data folder. */
  readonly isElsewhere: boolean;
  /** What belongs to the data beside the database. */
  readonly files: readonly string[];
  /** Folders of files that rows of it name. */
  readonly folders?: readonly string[] | undefined;
}

/** As archives call them: what is below them is files of their homes. */
export const foldersIn = (known: readonly KnownDatabase[]): readonly string[] => [
  ...new Set(known.flatMap(({ home }) => home?.folders?.map((folder) => `${home.name}/${folder}`) ?? [])),
];

/** The home that an archived name is in. */
export const homeOf = (known: readonly KnownDatabase[], file: string): KnownHome | undefined =>
  known.map(({ home }) => home).find((home) => home !== undefined && file.startsWith(`${home.name}/`));

/** Where a file of an archive lies, or would. */
export function placeOf(known: readonly KnownDatabase[], dataDir: string, file: string): string {
  const home = homeOf(known, file);
  return home === undefined ? join(dataDir, file) : join(home.folder, file.slice(home.name.length + 1));
}

export function knownAs(known: readonly KnownDatabase[], file: string): KnownDatabase {
  return (
    known.find((database) => database.file === file) ?? {
      file,
      identity: OWN,
      newest: Number.POSITIVE_INFINITY,
      highWater: [],
    }
  );
}
