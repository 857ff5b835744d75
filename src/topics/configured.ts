// What the configuration says about topics: which there are, and how long their events are kept.
import type { Config } from "../config/settings.ts";
import { type DocumentTopic, documentTopic } from "./declared.ts";
import { type Retention, registry, type Topic } from "./topic.ts";
import { websitesTopic } from "./websites.ts";

export interface ConfiguredTopics {
  readonly documents: readonly DocumentTopic[];
  /** All of them by name. */
  readonly topics: ReadonlyMap<string, Topic>;
}

/** Websites, what the operator declared, and `more`. @throws Error for topics that are not usable, with a sentence for the person. */
export function configuredTopics(config: Config, more: readonly Topic[] = []): ConfiguredTopics {
  const documents = config.topics.map(documentTopic);
  return { documents, topics: registry([websitesTopic, ...documents.map(({ topic }) => topic), ...more]) };
}

export const retentionOf = (config: Config): Retention => ({
  days: config.realtimeRetentionDays,
  maxRows: config.realtimeRetentionMaxRows,
});
