// Messages that were too large to be stored, counted by session: their sender was told that all is well, so somebody else has to know.
import { gte, sql } from "drizzle-orm";
import type { Database } from "../../storage/database.ts";
import type { Db } from "../../storage/query.ts";
import { refusedMessages } from "./schema.ts";

/** For use inside an operation. */
export function rememberRefused(
  db: Db,
  sessionPk: number,
  refused: readonly { readonly bytes: number }[],
  now: number = Date.now(),
): void {
  const count = refused.length;
  const largestBytes = Math.max(...refused.map(({ bytes }) => bytes));
  db.insert(refusedMessages)
    .values({ sessionPk, count, largestBytes, lastAt: now })
    .onConflictDoUpdate({
      target: refusedMessages.sessionPk,
      set: {
        count: sql`${refusedMessages.count} + excluded.count`,
        largestBytes: sql`max(${refusedMessages.largestBytes}, excluded.largest_bytes)`,
        lastAt: now,
      },
    })
    .run();
}

export interface RefusedMessages {
  readonly sessions: number;
  readonly count: number;
  readonly largestBytes: number;
}

/** What was left out in sessions where that happened after `since`. */
export function refusedSince({ reads }: Pick<Database, "reads">, since: number): RefusedMessages {
  const row = reads
    .select({
      sessions: sql<number>`count(*)`,
      count: sql<number>`coalesce(sum(${refusedMessages.count}), 0)`,
      largestBytes: sql<number>`coalesce(max(${refusedMessages.largestBytes}), 0)`,
    })
    .from(refusedMessages)
    .where(gte(refusedMessages.lastAt, since))
    .get();
  return row ?? { sessions: 0, count: 0, largestBytes: 0 };
}
