// Whether the age limits do their work, or wait because the clock cannot be believed.
import { doubtInWords, RetentionClock } from "../retention/clock.ts";
import { type Finding, failure, ok, skipped } from "./finding.ts";

/**
 * Reads what the server last believed; nothing is deleted and nothing changed.
 * @param kept the shortest time, in ms, for which each kind of data is kept; infinite without a limit.
 */
export function checkRetention(dataDir: string, kept: Readonly<Record<string, number>>): Finding {
  const limited = Object.entries(kept).filter(([, ms]) => Number.isFinite(ms));
  if (limited.length === 0) return skipped("retention", "Nothing is deleted by its age: no limit is set.");
  for (const [name, ms] of limited) {
    const doubt = new RetentionClock({ dataDir, name, newest: () => undefined }).look(ms);
    if (doubt === undefined) continue;
    const { problem, fix } = doubtInWords(doubt);
    return failure("retention", problem, { fix });
  }
  return ok("retention", "What is older than the limits is deleted.");
}
