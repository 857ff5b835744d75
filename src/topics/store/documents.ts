// JSON documents of the topics that the operator declared, changed like websites: one operation with its event each.
import { and, desc, eq, sql } from "drizzle-orm";
import { weightOf } from "../../storage/large-rows.ts";
import { type Db, prepared } from "../../storage/query.ts";
import { cutPage, eachRead, PAGE_BYTES, WHOLE_BYTES } from "../../storage/weighed-list.ts";
import { type Item, type ItemPage, LazyItems } from "../item.ts";
import { notFound } from "../problem.ts";
import type { Topic } from "../topic.ts";
import type { EventLog } from "./events.ts";
import { topicDocuments } from "./schema.ts";
import type { TopicItems } from "./topic-items.ts";

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

const one = prepared((db) =>
  db
    .select()
    .from(topicDocuments)
    .where(
      and(eq(topicDocuments.topic, sql.placeholder("topic")), eq(topicDocuments.id, sql.placeholder("id"))),
    )
    .prepare(),
);

export function documentItem(db: Db, topic: string, id: number): Item | undefined {
  const row = one(db).get({ topic, id });
  return row === undefined ? undefined : item(row);
}

/** Newest id first; no document is read. */
const weights = prepared((db) =>
  db
    .select({ id: topicDocuments.id, bytes: weightOf(topicDocuments.document) })
    .from(topicDocuments)
    .where(eq(topicDocuments.topic, sql.placeholder("topic")))
    .orderBy(desc(topicDocuments.id))
    .limit(sql.placeholder("limit"))
    .offset(sql.placeholder("offset"))
    .prepare(),
);

/** Newest id first, as many as fit into the bytes of a page. */
function newestDocuments(db: Db, topic: string, limit: number): { items: Item[]; total: number } {
  const kept = cutPage(weights(db).all({ topic, limit, offset: 0 }), limit, PAGE_BYTES);
  return { items: [...each(db, topic, kept)], total: count(db, topic) };
}

/** How a topic of documents is read. */
export const documentItems = (topic: string): TopicItems => ({
  snapshot: (db, limit) => newestDocuments(db, topic, limit),
  project: (db, id) => documentItem(db, topic, id),
});

/** One page of a resource, whatever its size: newest id first. */
export function pageDocuments(db: Db, topic: string, page: number, pageSize: number): ItemPage {
  const found = weights(db).all({ topic, limit: pageSize, offset: (page - 1) * pageSize });
  const bytes = found.reduce((sum, one) => sum + one.bytes, 0);
  const items = each(db, topic, found);
  return { items: bytes > WHOLE_BYTES ? new LazyItems(items) : [...items], total: count(db, topic) };
}

const each = (db: Db, topic: string, found: readonly { readonly id: number }[]) =>
  eachRead(found, ({ id }) => documentItem(db, topic, id));

function count(db: Db, topic: string): number {
  const total = db
    .select({ n: sql<number>`count(*)` })
    .from(topicDocuments)
    .where(eq(topicDocuments.topic, topic))
    .get();
  return total?.n ?? 0;
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
