// How the items of a topic are read, within the operation that needs them. Only the store calls these; outside, a topic carries them.
import type { Db } from "../../storage/query.ts";
import type { Item } from "../item.ts";

export interface TopicItems {
  /** Newest id first, at most `limit`; `total` is the real number. */
  readonly snapshot: (db: Db, limit: number) => { items: readonly Item[]; total: number };
  /** One item as it is now; undefined when it is gone. */
  readonly project: (db: Db, id: number) => Item | undefined;
}
