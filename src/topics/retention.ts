// What the topics protocol says and does about old events: by their age while the clock is believed, and by their number always.
import type { Retention } from "../retention/retention.ts";
import { retentionOf, shortestKept } from "./configured.ts";
import type { TopicsConfig } from "./settings.ts";
import type { TopicsStore } from "./store/index.ts";
import type { Topic } from "./topic.ts";

export interface TopicsRetentionParts {
  /** Read at each use: limits may change while the server runs. */
  readonly config: TopicsConfig;
  readonly store: Pick<TopicsStore, "newestEventAt" | "countOldEvents" | "pruneEvents">;
  readonly topics: ReadonlyMap<string, Topic>;
}

const KIND = "topic events";

export function topicsRetention({ config, store, topics }: TopicsRetentionParts): Retention {
  return {
    kinds: [KIND],
    everyMs: config.topicsRetentionInterval,
    shortestMs: () => shortestKept(retentionOf(config), topics.values()),
    newest: (now) => store.newestEventAt(now),
    plan: async (now) => {
      const old = await store.countOldEvents(retentionOf(config), topics.values(), now);
      return old.map(({ topic, ...sum }) => ({ kind: KIND, account: topic, ...sum }));
    },
    run: async ({ now, goOn }) => ({
      [KIND]: await store.pruneEvents(retentionOf(config), topics.values(), now, goOn),
    }),
  };
}
