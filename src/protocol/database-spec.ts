// What the house must know of a database that a protocol keeps, so that it can open, migrate, snapshot, back up, drill, restore and
// look after it without knowing the protocol.
import type { HighWaterQuestion } from "../backup/high-water.ts";
import type { DatabaseIdentity } from "../storage/identity.ts";
import type { Sealed } from "../storage/master-secret.ts";
import type { Migration } from "../storage/migrations.ts";

export interface DatabaseSpec {
  /** As people name it, and as checks, metrics and the retention clock call it: the file's name without its ending. */
  readonly name: string;
  /** How it is recognized, and whether it is ours to stamp. */
  readonly identity: DatabaseIdentity;
  /** Loaded only when somebody asks. */
  migrations(): Promise<readonly Migration[]>;
  /** Numbers that only grow, by which a drill tells whether a copy is faithful. */
  readonly highWater: readonly HighWaterQuestion[];
  /** What becomes unreadable when the data folder's secret is lost, and a query that gives a row when there is any. */
  readonly sealed?: Sealed & { readonly sql: string };
  /** Small YAML files of the data folder that say how it is served, where they are there: in backups, as who may come in stands in them. */
  readonly configured?: readonly string[];
  /** The folder of its own that it lies in; without one it is in the data folder itself. */
  readonly home?: HomeSpec;
}

/** A folder that another program may use before and after us, so it has everything that its database needs beside it. */
export interface HomeSpec {
  /** Of the folder below the data folder, and of the same in archives. */
  readonly name: string;
  /** The setting that may name another folder, wherever it is. */
  readonly setting: string;
  /** Small files beside the database that belong to the data, such as keys: in backups, and for the owner's eyes only. */
  readonly files: readonly string[];
  /** Folders beside the database with files that rows of it name, and nothing else: in backups too, whatever is in them. */
  readonly folders?: readonly string[];
}

/** In its folder. */
export const fileOf = ({ name }: Pick<DatabaseSpec, "name">): string => `${name}.db`;
