// Whether the topics protocol is on. It stands apart so that a server without topics loads nothing else of them.
import type { TopicsConfig } from "./settings.ts";

/** Off, unless it is switched on or something of it is configured. */
export function topicsOn(config: TopicsConfig): boolean {
  const { topicsEnabled, topics, topicsJwtSecret: jwtSecret, topicsAdminUsername: adminUsername } = config;
  return topicsEnabled ?? (topics.length > 0 || jwtSecret !== undefined || adminUsername !== undefined);
}
