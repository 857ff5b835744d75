// A batch of deletions of any topic: one operation, one event for each item that was really there (topics contract, 5.3).
import type { Db } from "../../storage/query.ts";
import { notFound } from "../problem.ts";
import type { Topic } from "../topic.ts";
import type { EventLog } from "./events.ts";

export interface Removal {
  readonly deleted: number;
  /** Ids that were not there. */
  readonly skipped: readonly number[];
}

/** @throws Problem 3001 when nothing was there. */
export function removeItems(
  log: EventLog,
  topic: Topic,
  ids: readonly number[],
  remove: (db: Db, id: number) => boolean,
): Promise<Removal> {
  return log.change(topic, (db, publish) => {
    const skipped: number[] = [];
    let deleted = 0;
    for (const id of new Set(ids)) {
      if (remove(db, id)) {
        publish("delete", id);
        deleted++;
      } else skipped.push(id);
    }
    if (deleted === 0) throw notFound(topic.name);
    return { deleted, skipped };
  });
}
