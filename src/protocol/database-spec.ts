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
}

/** In the data folder. */
export const fileOf = ({ name }: Pick<DatabaseSpec, "name">): string => `${name}.db`;
