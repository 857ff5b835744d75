// The operations of one transaction, and how their callers hear of them once it is durable: all announcements first, in commit order, and
// then each caller. Nothing that reveals a change leaves the process before the announcements of every earlier change.
import type { Logger } from "pino";
import type { Db } from "./query.ts";
import type { Group } from "./unsynced.ts";
import { bytesOf, type Waiter } from "./waiting-line.ts";

/** Methods, because the line holds operations of every result. */
export interface Pending extends Waiter {
  work(db: Db): unknown;
  announce?(result: unknown): void;
  resolve(result: unknown): void;
  reject(error: unknown): void;
  /** What it came to. */
  outcome: { readonly result: unknown } | { readonly problem: unknown } | undefined;
  /** A barrier changes nothing. */
  readonly changesNothing: boolean;
}

export interface Committed extends Group {
  readonly pending: readonly Pending[];
}

/** @param waits whether it may have to wait for the disk, so that what it holds in memory counts. */
export function committed(pending: readonly Pending[], waits: boolean): Committed {
  const bytes = waits ? pending.reduce((sum, { holds }) => sum + bytesOf(holds), 0) : 0;
  const wrote = pending.some(
    ({ outcome, changesNothing }) => !changesNothing && outcome && "result" in outcome,
  );
  return { pending, since: pending[0]?.since ?? performance.now(), operations: pending.length, bytes, wrote };
}

/** To be called once they are durable, in commit order. */
export function tell(groups: readonly Committed[], log: Logger): void {
  for (const { pending } of groups)
    for (const { announce, outcome } of pending) {
      if (announce === undefined || outcome === undefined || "problem" in outcome) continue;
      try {
        announce(outcome.result);
      } catch (error) {
        log.error({ err: error }, "an announcement failed; its change is stored");
      }
    }
  for (const { pending } of groups)
    for (const { resolve, reject, outcome } of pending)
      if (outcome !== undefined && "problem" in outcome) reject(outcome.problem);
      else resolve(outcome?.result);
}
