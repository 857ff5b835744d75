// The negative control: what SQLite's synchronous=NORMAL would have done. The log is synced before its pages are moved into the
// database, and not at commits. Both tests of power loss must fail on it.
import type { SystemCall } from "./system-calls.ts";

const LOG = "-wal";

/** The recording without the syncs of logs after which the next write is another commit's. */
export function withoutCommitSyncs(calls: readonly SystemCall[]): SystemCall[] {
  const kept: SystemCall[] = [];
  /** Database -> what its next write is about, looking back from the end. */
  const next = new Map<string, "log" | "database">();
  for (const call of calls.toReversed()) {
    const isLog = call.target.endsWith(LOG);
    const database = isLog ? call.target.slice(0, -LOG.length) : call.target;
    if (/sync/.test(call.name) && isLog && next.get(database) !== "database") continue;
    if (/write/.test(call.name)) next.set(database, isLog ? "log" : "database");
    kept.push(call);
  }
  return kept.reverse();
}
