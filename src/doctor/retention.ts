// Whether the age limits do their work, or wait because the clock cannot be believed.
import type { Config } from "../config/settings.ts";
import { doubtInWords, RetentionClock } from "../retention/clock.ts";
import { shortest } from "../retention/rules.ts";
import { configuredTopics, retentionOf } from "../topics/configured.ts";
import { shortestKept } from "../topics/store/retention.ts";
import { topicsOn } from "../topics/switch.ts";
import { type Finding, failure, ok, skipped } from "./finding.ts";

/** Reads what the server last believed; nothing is deleted and nothing changed. */
export function checkRetention(config: Config): Finding {
  const limits = { happy: shortest(config), topics: topicsLimit(config) };
  const active = Object.entries(limits).filter(([, ms]) => Number.isFinite(ms));
  if (active.length === 0) return skipped("retention", "Nothing is deleted by its age: no limit is set.");
  for (const [name, ms] of active) {
    const clock = new RetentionClock({ dataDir: config.dataDir, name, newest: () => undefined });
    const doubt = clock.look(ms);
    if (doubt === undefined) continue;
    const { problem, fix } = doubtInWords(doubt);
    return failure("retention", problem, { fix });
  }
  return ok("retention", "What is older than the limits is deleted.");
}

function topicsLimit(config: Config): number {
  if (!topicsOn(config)) return Number.POSITIVE_INFINITY;
  return shortestKept(retentionOf(config), configuredTopics(config).topics.values());
}
