// What a backup must know of a database to copy, drill and restore it. A database in the folder that is not known is treated as our own
// of any version, without questions.
import { type DatabaseIdentity, OWN } from "../storage/identity.ts";
import type { HighWaterQuestion } from "./high-water.ts";

export interface KnownDatabase {
  /** In the data folder. */
  readonly file: string;
  readonly identity: DatabaseIdentity;
  /** The newest version that this executable can open. */
  readonly newest: number;
  readonly highWater: readonly HighWaterQuestion[];
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
