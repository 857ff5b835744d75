// Messages that were too large to be stored, counted by session: their sender was told that all is well, so the doctor has to know.
import { sql } from "drizzle-orm";
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
