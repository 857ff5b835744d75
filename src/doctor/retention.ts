// Whether the age limits do their work, or wait because the clock cannot be believed.
import { doubtInWords, RetentionClock } from "../retention/clock.ts";
import { type Finding, failure, ok, skipped } from "./finding.ts";

/**
 * Reads what the server last believed; nothing is deleted and nothing changed. `limits`: the shortest age, in milliseconds, at which
 * each protocol deletes something.
 */
export async function checkRetention(
  dataDir: string,
  limits: Readonly<Record<string, number>>,
): Promise<Finding> {
  const active = Object.entries(limits).filter(([, ms]) => Number.isFinite(ms));
  if (active.length === 0) return skipped("retention", "Nothing is deleted by its age: no limit is set.");
  for (const [name, ms] of active) {
    const clock = new RetentionClock({ dataDir, name, newest: async () => undefined });
    const doubt = await clock.look(ms);
    if (doubt === undefined) continue;
    const { problem, fix } = doubtInWords(doubt);
    return failure("retention", problem, { fix });
  }
  return ok("retention", "What is older than the limits is deleted.");
}
