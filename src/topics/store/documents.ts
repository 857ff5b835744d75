// JSON documents of the topics that the operator declared, changed like websites: one operation with its event each.
import { and, desc, eq, sql } from "drizzle-orm";
import { type Db, prepared } from "../../storage/query.ts";
import { notFound } from "../problem.ts";
import type { Item, Topic } from "../topic.ts";
import type { EventLog } from "./events.ts";
import { topicDocuments } from "./schema.ts";

type Row = typeof topicDocuments.$inferSelect;

/** `document` is JSON text that the topic's schema accepted. */
export function createDocument(log: EventLog, topic: Topic, document: string): Promise<Item> {
  return log.change(topic, (db, publish) => {
    const now = Date.now();
    const row = db
      .insert(topicDocuments)
      .values({ topic: topic.name, document, createdAt: now, updatedAt: now })
      .returning()
      .get();
    const added = item(row);
    publish("add", added);
    return added;
  });
}

/** Replaces the document. @throws Problem 3001 */
export function updateDocument(log: EventLog, topic: Topic, id: number, document: string): Promise<Item> {
  return log.change(topic, (db, publish) => {
    const row = db
      .update(topicDocuments)
      .set({ document, updatedAt: Date.now() })
      .where(own(topic.name, id))
      .returning()
      .get();
    if (row === undefined) throw notFound(topic.name);
    const updated = item(row);
    publish("update", updated);
    return updated;
  });
}

/** False when it is not there. */
export function removeDocument(db: Db, topic: string, id: number): boolean {
  return (
    db.delete(topicDocuments).where(own(topic, id)).returning({ id: topicDocuments.id }).all().length > 0
  );
}

export function documentItem(db: Db, topic: string, id: number): Item | undefined {
  const row = db.select().from(topicDocuments).where(own(topic, id)).get();
  return row === undefined ? undefined : item(row);
}

const newest = prepared((db) =>
  db
    .select()
    .from(topicDocuments)
    .where(eq(topicDocuments.topic, sql.placeholder("topic")))
    .orderBy(desc(topicDocuments.id))
    .limit(sql.placeholder("limit"))
    .offset(sql.placeholder("offset"))
    .prepare(),
);

/** Newest id first. */
export function newestDocuments(
  db: Db,
  topic: string,
  limit: number,
  offset = 0,
): { items: Item[]; total: number } {
  const total = db
    .select({ n: sql<number>`count(*)` })
    .from(topicDocuments)
    .where(eq(topicDocuments.topic, topic))
    .get();
  return { items: newest(db).all({ topic, limit, offset }).map(item), total: total?.n ?? 0 };
}

const own = (topic: string, id: number) => and(eq(topicDocuments.topic, topic), eq(topicDocuments.id, id));

function item({ id, document, createdAt, updatedAt }: Row): Item {
  return {
    id,
    document: JSON.parse(document) as unknown,
    created_at: new Date(createdAt).toISOString(),
    updated_at: new Date(updatedAt).toISOString(),
  };
}
