// What the topics protocol says and does about old events: by their age while the clock is believed, and by their number always.
import type { Retention } from "../retention/retention.ts";
import type { Database } from "../storage/database.ts";
import { retentionOf } from "./configured.ts";
import type { TopicsConfig } from "./settings.ts";
import { countOldEvents, newestEventAt, pruneEvents, shortestKept } from "./store/retention.ts";
import type { Topic } from "./topic.ts";

export interface TopicsRetentionParts {
  /** Read at each use: limits may change while the server runs. */
  readonly config: TopicsConfig;
  readonly database: Database;
  readonly topics: ReadonlyMap<string, Topic>;
}

const KIND = "topic events";

export function topicsRetention({ config, database, topics }: TopicsRetentionParts): Retention {
  return {
    kinds: [KIND],
    everyMs: config.realtimeRetentionInterval,
    shortestMs: () => shortestKept(retentionOf(config), topics.values()),
    newest: async (now) => newestEventAt(database.reads, now),
    plan: async (now) =>
      countOldEvents(database, retentionOf(config), topics.values(), now).map(({ topic, ...sum }) => ({
        kind: KIND,
        account: topic,
        ...sum,
      })),
    run: async ({ now, goOn }) => ({
      [KIND]: goOn() ? await pruneEvents(database, retentionOf(config), topics.values(), now) : 0,
    }),
  };
}
