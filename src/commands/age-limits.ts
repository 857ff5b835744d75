// The shortest age at which each protocol deletes something by itself, from the configuration.
import type { Config } from "../config/settings.ts";
import { shortest } from "../retention/rules.ts";
import { configuredTopics, retentionOf } from "../topics/configured.ts";
import { shortestKept } from "../topics/store/retention.ts";
import { topicsOn } from "../topics/switch.ts";

/** Milliseconds by the name under which the protocol's retention clock is kept; infinite where nothing is deleted by its age. */
export function ageLimits(config: Config): Readonly<Record<string, number>> {
  return {
    happy: shortest(config),
    topics: topicsOn(config)
      ? shortestKept(retentionOf(config), configuredTopics(config).topics.values())
      : Number.POSITIVE_INFINITY,
  };
}
