// The event log. An event is written with the change that it announces, in one transaction, so that no crash parts them; one writer
// gives out the ids, so that they become visible in order (topics contract, sections 8 and 9).
import { and, asc, desc, eq, gt, sql } from "drizzle-orm";
import type { Database } from "../../storage/database.ts";
import { type Db, plainRows, prepared } from "../../storage/query.ts";
import { PAGE_BYTES } from "../../storage/weighed-list.ts";
import type { Item } from "../item.ts";
import type { Topic } from "../topic.ts";
import { wsEvents, wsTopicState } from "./schema.ts";

export type EventType = "add" | "update" | "delete";

export interface TopicEvent {
  readonly id: number;
  readonly type: EventType;
  readonly data: Item;
}

/**
 * The only way to publish, valid inside its change: an id for what `project` describes, or the payload itself.
 * Gives the payload; undefined when the item is gone, and then there is no event, because its deletion covers it.
 */
export type Publish = (type: EventType, what: number | Item) => Item | undefined;

export type Announce = (topic: Topic, events: readonly TopicEvent[]) => void;

export class EventLog {
  constructor(
    private readonly database: Database,
    private readonly announce: Announce,
    /** False: changes are counted but leave no events. Only for a server that speaks no realtime. */
    private readonly logEvents: boolean,
  ) {}

  /** Runs `work` as one atomic operation together with the events that it publishes; announced once they are durable, in commit order. */
  async change<T>(topic: Topic, work: (db: Db, publish: Publish) => T): Promise<T> {
    const { result } = await this.database.writer.run(
      (db) => {
        const events: Omit<TopicEvent, "id">[] = [];
        let published = false;
        const result = work(db, (type, what) => {
          // Deleting gives space back, and is never refused.
          if (type !== "delete") this.database.quota.admit("message");
          published = true;
          const data = typeof what === "number" ? described(db, topic, type, what) : what;
          if (data !== undefined) events.push({ type, data });
          return data;
        });
        return { result, events: published ? this.#record(db, topic, events) : [] };
      },
      ({ events }) => {
        if (events.length > 0) this.announce(topic, events);
      },
    );
    return result;
  }

  #record(db: Db, topic: Topic, events: readonly Omit<TopicEvent, "id">[]): TopicEvent[] {
    const now = Date.now();
    countVersion(db).run({ topic: topic.name, now });
    if (!this.logEvents) return [];
    // A clock that steps back must not contradict the order of the ids.
    const createdAt = Math.max(now, newest(db).get()?.createdAt ?? 0);
    const stored = events.map(({ type, data }) => {
      const row = insert(db).get({ topic: topic.name, type, payload: JSON.stringify(data), createdAt });
      return { id: row.id, type, data };
    });
    countPublished(db).run({ topic: topic.name, last: stored.at(-1)?.id ?? 0, now });
    return stored;
  }
}

function described(db: Db, topic: Topic, type: EventType, id: number): Item | undefined {
  return type === "delete" ? topic.removed(id) : topic.project(db, id);
}

const countVersion = prepared((db) =>
  db
    .insert(wsTopicState)
    .values({ topic: sql.placeholder("topic"), version: 1, updatedAt: sql.placeholder("now") })
    .onConflictDoUpdate({
      target: wsTopicState.topic,
      set: { version: sql`${wsTopicState.version} + 1`, updatedAt: sql`excluded.updated_at` },
    })
    .prepare(),
);

const countPublished = prepared((db) =>
  db
    .update(wsTopicState)
    .set({
      published: sql`${wsTopicState.published} + 1`,
      lastEventId: sql`max(${wsTopicState.lastEventId}, ${sql.placeholder("last")})`,
      updatedAt: sql`${sql.placeholder("now")}`,
    })
    .where(eq(wsTopicState.topic, sql.placeholder("topic")))
    .prepare(),
);

const newest = prepared((db) =>
  db.select({ createdAt: wsEvents.createdAt }).from(wsEvents).orderBy(desc(wsEvents.id)).limit(1).prepare(),
);

const insert = prepared((db) =>
  db
    .insert(wsEvents)
    .values({
      topic: sql.placeholder("topic"),
      eventType: sql.placeholder("type"),
      payload: sql.placeholder("payload"),
      createdAt: sql.placeholder("createdAt"),
    })
    .returning({ id: wsEvents.id })
    .prepare(),
);

export type TopicState = Omit<typeof wsTopicState.$inferSelect, "topic" | "updatedAt">;

const NOTHING_YET: TopicState = {
  version: 0,
  published: 0,
  lastEventId: 0,
  prunedThroughId: 0,
  forceFullThrough: 0,
};

const state = prepared((db) =>
  db
    .select({
      version: wsTopicState.version,
      published: wsTopicState.published,
      lastEventId: wsTopicState.lastEventId,
      prunedThroughId: wsTopicState.prunedThroughId,
      forceFullThrough: wsTopicState.forceFullThrough,
    })
    .from(wsTopicState)
    .where(eq(wsTopicState.topic, sql.placeholder("topic")))
    .prepare(),
);

export function topicState(db: Db, topic: string): TopicState {
  return state(db).get({ topic }) ?? NOTHING_YET;
}

const after = prepared((db) =>
  db
    .select({ id: wsEvents.id, type: wsEvents.eventType, payload: wsEvents.payload })
    .from(wsEvents)
    .where(and(eq(wsEvents.topic, sql.placeholder("topic")), gt(wsEvents.id, sql.placeholder("id"))))
    .orderBy(asc(wsEvents.id))
    .limit(sql.placeholder("limit"))
    .prepare(),
);

const afterWeight = plainRows<{ count: number; bytes: number }>(
  (db) =>
    db
      .select({ bytes: sql`octet_length(${wsEvents.payload})`.as("bytes") })
      .from(wsEvents)
      .where(and(eq(wsEvents.topic, sql.placeholder("topic")), gt(wsEvents.id, sql.placeholder("id"))))
      .orderBy(asc(wsEvents.id))
      .limit(sql.placeholder("limit")),
  (text) => `SELECT count(*) AS "count", coalesce(sum("bytes"), 0) AS "bytes" FROM (${text})`,
);

/** How many events there are after an id, up to `limit`, and what they weigh; none is read. */
export function weighEventsAfter(db: Db, topic: string, id: number, limit: number) {
  return afterWeight(db, { topic, id, limit })[0] ?? { count: 0, bytes: 0 };
}

/** Events of one topic with a greater id, in id order: at most `limit`, and only so many as fit into a page, but at least one. */
export function eventsAfter(db: Db, topic: string, id: number, limit: number): TopicEvent[] {
  let wanted = limit;
  while (wanted > 1 && weighEventsAfter(db, topic, id, wanted).bytes > PAGE_BYTES)
    wanted = Math.ceil(wanted / 2);
  return after(db)
    .all({ topic, id, limit: wanted })
    .map(({ payload, ...event }) => ({ ...event, data: JSON.parse(payload) as Item }));
}
