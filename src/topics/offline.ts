// What can be done with the topics database of a folder that no server runs on, or beside one.
import type { Offline, OfflineParts } from "../protocol/manifest.ts";
import { configuredTopics } from "./configured.ts";
import { topicsRetention } from "./retention.ts";
import type { TopicsConfig } from "./settings.ts";
import { topicsStore } from "./store/index.ts";

export async function offline({ config, databases }: OfflineParts<TopicsConfig>): Promise<Offline> {
  const database = databases.get("topics");
  if (database === undefined) return {};
  const store = topicsStore(database);
  return { retention: topicsRetention({ config, store, topics: configuredTopics(config).topics }) };
}
