// Old events go, by age and by number, in small transactions; what went is remembered, so that nobody is replayed a list with holes
// (topics contract, section 12).
import { and, asc, eq, gte, inArray, lt, lte, notInArray, type SQL, sql } from "drizzle-orm";
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

/** What is older or more than is kept, by topic. */
export interface OldEvents {
  readonly topic: string;
  readonly count: number;
  readonly bytes: number;
}

/** What `pruneEvents` with the same arguments would delete. */
export function countOldEvents(
  reads: Db,
  retention: Retention,
  topics: Iterable<Topic>,
  now?: number,
): OldEvents[] {
  const found: OldEvents[] = [];
  for (const { rule, where } of scopes(retention, topics)) {
    const before = cutoff(rule, now);
    if (before !== undefined)
      found.push(...sumsOf(reads, and(lt(wsEvents.createdAt, before), where), Number.MAX_SAFE_INTEGER));
    if (rule.maxRows > 0) {
      const kept = before === undefined ? where : and(gte(wsEvents.createdAt, before), where);
      found.push(...sumsOf(reads, kept, countAbove(reads, kept, rule.maxRows)));
    }
  }
  return [...Map.groupBy(found, ({ topic }) => topic)].map(([topic, sums]) => ({
    topic,
    count: sums.reduce((sum, { count }) => sum + count, 0),
    bytes: sums.reduce((sum, { bytes }) => sum + bytes, 0),
  }));
}

/** Of the oldest so many events. */
function sumsOf(reads: Db, where: SQL | undefined, limit: number): OldEvents[] {
  const events = reads
    .select({
      topic: wsEvents.topic,
      bytes: sql<number>`octet_length(${wsEvents.payload})`.as("bytes"),
    })
    .from(wsEvents)
    .where(where)
    .orderBy(asc(wsEvents.id))
    .limit(limit)
    .as("events");
  return reads
    .select({ topic: events.topic, count: sql<number>`count(*)`, bytes: sql<number>`sum(${events.bytes})` })
    .from(events)
    .groupBy(events.topic)
    .all();
}

/**
 * Applies the server's retention, and the topics' own where they have one. Gives the number of deleted events.
 * @param now Unix ms; undefined when the clock cannot be believed: then events are only counted.
 * @param goOn asked before each small transaction; false ends it there.
 */
export async function pruneEvents(
  database: Database,
  retention: Retention,
  topics: Iterable<Topic>,
  now?: number,
  goOn: () => boolean = () => true,
): Promise<number> {
  let deleted = 0;
  for (const scope of scopes(retention, topics)) deleted += await pruneScope(database, scope, now, goOn);
  return deleted;
}

interface Scope {
  readonly rule: Retention;
  /** The events for which the rule is. */
  readonly where: SQL | undefined;
}

/** The server's rule for all topics that have none of their own, and each that has. */
function scopes(retention: Retention, topics: Iterable<Topic>): Scope[] {
  const own = [...topics].flatMap(({ name, retention: rule }) =>
    rule === undefined ? [] : [{ name, rule }],
  );
  const names = own.map(({ name }) => name);
  const rest = names.length === 0 ? undefined : notInArray(wsEvents.topic, names);
  return [
    { rule: retention, where: rest },
    ...own.map(({ name, rule }) => ({ rule, where: eq(wsEvents.topic, name) })),
  ];
}

/** What is older goes; undefined where nothing does. */
const cutoff = ({ days }: Retention, now: number | undefined): number | undefined =>
  days > 0 && now !== undefined ? now - days * DAY_MS : undefined;

async function pruneScope(
  database: Database,
  { rule, where }: Scope,
  now: number | undefined,
  goOn: () => boolean,
): Promise<number> {
  let deleted = 0;
  const before = cutoff(rule, now);
  if (before !== undefined) {
    const old = and(lt(wsEvents.createdAt, before), where);
    // In the order of the index on the time: in that of the ids, the last batch would look at every event that stays.
    const order = [asc(wsEvents.createdAt), asc(wsEvents.id)];
    deleted += await inBatches((limit) => deleteSome(database, old, order, limit), goOn);
  }
  if (rule.maxRows > 0) {
    const surplus = countAbove(database.reads, where, rule.maxRows);
    deleted += await inBatches(
      (limit) => deleteSome(database, where, [asc(wsEvents.id)], limit),
      goOn,
      surplus,
    );
  }
  return deleted;
}

async function inBatches(
  remove: (limit: number) => Promise<number>,
  goOn: () => boolean,
  atMost = Number.POSITIVE_INFINITY,
): Promise<number> {
  let total = 0;
  while (total < atMost && goOn()) {
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
