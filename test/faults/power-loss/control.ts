// The negative control: the syncs of the log left out by which commits are made durable, as if nobody had written them. What SQLite syncs
// itself, before checkpoints and when its log begins anew, stays. Both tests of power loss must fail on it.
import type { SystemCall } from "./system-calls.ts";

const LOG = "-wal";

/** The recording without the syncs of commits. */
export function withoutCommitSyncs(calls: readonly SystemCall[]): SystemCall[] {
  const left = commitSyncs(calls);
  return calls.filter((call) => !left.has(call));
}

/** Those of descriptors that only sync: SQLite opens a log to make it, we open one that is there. */
function commitSyncs(calls: readonly SystemCall[]): ReadonlySet<SystemCall> {
  const ours = new Set<number>();
  const found = new Set<SystemCall>();
  for (const call of calls) {
    const { name, fd, paths, flags, target, result } = call;
    if (/^open/.test(name) && result >= 0) {
      if (paths[0]?.endsWith(LOG) && !flags.includes("O_CREAT")) ours.add(result);
      else ours.delete(result);
    } else if (/sync/.test(name) && target.endsWith(LOG) && ours.has(fd ?? -1)) found.add(call);
  }
  return found;
}

/** Every kind of sync point: commits, what SQLite syncs of logs and of databases itself, and everything else. */
export function syncsByKind(calls: readonly SystemCall[]): ReadonlyMap<string, readonly SystemCall[]> {
  const ours = commitSyncs(calls);
  return Map.groupBy(
    calls.filter(({ name }) => name.includes("sync")),
    (call) => {
      if (ours.has(call)) return "commit";
      if (call.target.endsWith(LOG)) return "log";
      return call.target.endsWith(".db") ? "database" : "other";
    },
  );
}
