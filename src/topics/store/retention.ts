// Old events go, by age and by number, in small transactions; what went is remembered, so that nobody is replayed a list with holes
// (topics contract, section 12).
import { and, asc, eq, inArray, lt, lte, notInArray, or, type SQL, sql } from "drizzle-orm";
import type { Database } from "../../storage/database.ts";
import type { Db } from "../../storage/query.ts";
import type { Retention, Topic } from "../topic.ts";
import { wsEvents, wsTopicState } from "./schema.ts";

const BATCH = 5_000;
const DAY_MS = 86_400_000;

/** The newest time of an event that is not later than `now`. */
export function newestEventAt(reads: Db, now: number): number | undefined {
  const [found] = reads
    .select({ at: sql<number | null>`max(${wsEvents.createdAt})` })
    .from(wsEvents)
    .where(lte(wsEvents.createdAt, now))
    .all();
  return found?.at ?? undefined;
}

/** The shortest time for which events are kept, in ms; infinite where only their number counts. */
export function shortestKept(retention: Retention, topics: Iterable<Topic>): number {
  const rules = [retention, ...[...topics].flatMap(({ retention: own }) => (own === undefined ? [] : [own]))];
  return Math.min(...rules.filter(({ days }) => days > 0).map(({ days }) => days * DAY_MS));
}

/**
 * Applies the server's retention, and the topics' own where they have one. Gives the number of deleted events.
 * @param now Unix ms; undefined when the clock cannot be believed: then events are only counted.
 */
export async function pruneEvents(
  database: Database,
  retention: Retention,
  topics: Iterable<Topic>,
  now?: number,
): Promise<number> {
  const own = [...topics].flatMap(({ name, retention: rule }) =>
    rule === undefined ? [] : [{ name, rule }],
  );
  const rest =
    own.length === 0
      ? undefined
      : notInArray(
          wsEvents.topic,
          own.map(({ name }) => name),
        );
  let deleted = await pruneScope(database, retention, rest, now);
  for (const { name, rule } of own)
    deleted += await pruneScope(database, rule, eq(wsEvents.topic, name), now);
  return deleted;
}

/** What would go at `now`, by topic. */
export function countOldEvents(
  { reads }: Pick<Database, "reads">,
  retention: Retention,
  topics: Iterable<Topic>,
  now: number,
): { topic: string; count: number; bytes: number }[] {
  const own = new Map([...topics].map(({ name, retention: rule }) => [name, rule]));
  const names = reads.selectDistinct({ topic: wsEvents.topic }).from(wsEvents).all();
  const shared = names.filter(({ topic }) => own.get(topic) === undefined).map(({ topic }) => topic);
  const scopes = [
    { rule: retention, among: shared },
    ...names.flatMap(({ topic }) => {
      const rule = own.get(topic);
      return rule === undefined ? [] : [{ rule, among: [topic] }];
    }),
  ];
  return scopes.flatMap(({ rule, among }) => {
    if (among.length === 0) return [];
    const scope = inArray(wsEvents.topic, among);
    const surplus = rule.maxRows > 0 ? countAbove(reads, scope, rule.maxRows) : 0;
    const [last] =
      surplus === 0
        ? []
        : reads
            .select({ id: wsEvents.id })
            .from(wsEvents)
            .where(scope)
            .orderBy(asc(wsEvents.id))
            .limit(1)
            .offset(surplus - 1)
            .all();
    const old = or(
      rule.days > 0 ? lt(wsEvents.createdAt, now - rule.days * DAY_MS) : undefined,
      last === undefined ? undefined : lte(wsEvents.id, last.id),
    );
    if (old === undefined) return [];
    return reads
      .select({
        topic: wsEvents.topic,
        count: sql<number>`count(*)`,
        bytes: sql<number>`coalesce(sum(octet_length(${wsEvents.payload})), 0)`,
      })
      .from(wsEvents)
      .where(and(scope, old))
      .groupBy(wsEvents.topic)
      .all();
  });
}

async function pruneScope(
  database: Database,
  { days, maxRows }: Retention,
  scope: SQL | undefined,
  now: number | undefined,
): Promise<number> {
  let deleted = 0;
  if (days > 0 && now !== undefined) {
    const old = and(lt(wsEvents.createdAt, now - days * DAY_MS), scope);
    // In the order of the index on the time: in that of the ids, the last batch would look at every event that stays.
    const order = [asc(wsEvents.createdAt), asc(wsEvents.id)];
    deleted += await inBatches((limit) => deleteSome(database, old, order, limit), Number.POSITIVE_INFINITY);
  }
  if (maxRows > 0) {
    const surplus = countAbove(database.reads, scope, maxRows);
    deleted += await inBatches((limit) => deleteSome(database, scope, [asc(wsEvents.id)], limit), surplus);
  }
  return deleted;
}

async function inBatches(remove: (limit: number) => Promise<number>, atMost: number): Promise<number> {
  let total = 0;
  while (total < atMost) {
    const deleted = await remove(Math.min(BATCH, atMost - total));
    if (deleted === 0) break;
    total += deleted;
  }
  return total;
}

function countAbove(reads: Db, scope: SQL | undefined, maxRows: number): number {
  // Ids are never reused, so their span bounds the number of rows: the usual case needs no counting.
  const [span] = reads
    .select({ n: sql<number>`coalesce(max(${wsEvents.id}) - min(${wsEvents.id}) + 1, 0)` })
    .from(wsEvents)
    .where(scope)
    .all();
  if ((span?.n ?? 0) <= maxRows) return 0;
  const [count] = reads.select({ n: sql<number>`count(*)` }).from(wsEvents).where(scope).all();
  return Math.max(0, (count?.n ?? 0) - maxRows);
}

/** One transaction: deletes the first `limit` events and raises the watermark of every topic that lost some. */
function deleteSome(
  { writer }: Database,
  where: SQL | undefined,
  order: readonly SQL[],
  limit: number,
): Promise<number> {
  return writer.run((db) => {
    const rows = db
      .select({ id: wsEvents.id, topic: wsEvents.topic })
      .from(wsEvents)
      .where(where)
      .orderBy(...order)
      .limit(limit)
      .all();
    if (rows.length === 0) return 0;
    db.delete(wsEvents)
      .where(
        inArray(
          wsEvents.id,
          rows.map(({ id }) => id),
        ),
      )
      .run();
    const through = new Map<string, number>();
    for (const { id, topic } of rows) through.set(topic, Math.max(id, through.get(topic) ?? 0));
    for (const [topic, id] of through) {
      db.update(wsTopicState)
        .set({ prunedThroughId: sql`max(${wsTopicState.prunedThroughId}, ${id})`, updatedAt: Date.now() })
        .where(eq(wsTopicState.topic, topic))
        .run();
    }
    return rows.length;
  });
}
