// What must be true before the first request: a default line group, every topic's state, and no change without its event.
import { eq, sql } from "drizzle-orm";
import type { Logger } from "pino";
import type { Database } from "../../storage/database.ts";
import type { Db } from "../../storage/query.ts";
import type { Topic } from "../topic.ts";
import { topicState } from "./events.ts";
import { lineGroups, wsTopicState } from "./schema.ts";

export function prepareStore({ writer }: Database, topics: Iterable<Topic>, log: Logger): Promise<void> {
  return writer.run((db) => {
    addDefaultLineGroup(db);
    for (const { name } of topics) closeGap(db, name, log);
  });
}

/** Line groups are managed elsewhere; a server without any still needs one (topics contract, section 14). */
function addDefaultLineGroup(db: Db): void {
  const known = db.select({ id: lineGroups.id }).from(lineGroups).limit(1).get();
  if (known !== undefined) return;
  const now = Date.now();
  db.insert(lineGroups)
    .values({
      id: 1,
      name: "default",
      cnamePrefix: "default",
      cname: "default.cdn.invalid",
      createdAt: now,
      updatedAt: now,
    })
    .run();
}

/** Changes that left no events cannot be replayed: whoever is at or below the last event gets the whole list (contract 9.4). */
function closeGap(db: Db, topic: string, log: Logger): void {
  const { version, published } = topicState(db, topic);
  if (version === published) return;
  log.warn({ topic, version, published }, "changes were stored without events; clients get the whole list");
  db.update(wsTopicState)
    .set({
      forceFullThrough: sql`${wsTopicState.lastEventId}`,
      published: sql`${wsTopicState.version}`,
      updatedAt: Date.now(),
    })
    .where(eq(wsTopicState.topic, topic))
    .run();
}
