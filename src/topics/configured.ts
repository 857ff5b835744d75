// What the configuration says about topics: which there are, and how long their events are kept.

import { type DocumentTopic, documentTopic } from "./declared.ts";
import type { TopicsConfig } from "./settings.ts";
import { type Retention, registry, type Topic } from "./topic.ts";
import { websitesTopic } from "./websites.ts";

export interface ConfiguredTopics {
  readonly documents: readonly DocumentTopic[];
  /** All of them by name. */
  readonly topics: ReadonlyMap<string, Topic>;
}

/** Websites, what the operator declared, and `more`. @throws Error for topics that are not usable, with a sentence for the person. */
export function configuredTopics(config: TopicsConfig, more: readonly Topic[] = []): ConfiguredTopics {
  const documents = config.topics.map(documentTopic);
  return { documents, topics: registry([websitesTopic, ...documents.map(({ topic }) => topic), ...more]) };
}

export const retentionOf = (config: TopicsConfig): Retention => ({
  days: config.topicsRetentionDays,
  maxRows: config.topicsRetentionMaxRows,
});

const DAY_MS = 86_400_000;

/** The shortest time for which events are kept, in ms; infinite where only their number counts. */
export function shortestKept(retention: Retention, topics: Iterable<Topic>): number {
  const rules = [retention, ...[...topics].flatMap(({ retention: own }) => own ?? [])];
  return Math.min(...rules.filter(({ days }) => days > 0).map(({ days }) => days * DAY_MS));
}

export const shortestAgeMs = (config: TopicsConfig): number =>
  shortestKept(retentionOf(config), configuredTopics(config).topics.values());
