// Messages that were too large to be stored, counted by session: their sender was told that all is well, so the doctor has to know.
import { Database as Sqlite } from "bun:sqlite";
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

export interface RefusedMessages {
  readonly sessions: number;
  readonly count: number;
  readonly largestBytes: number;
}

/** For the doctor, who looks at the file whether or not a server runs on it. @throws what SQLite throws when it cannot be read. */
export function refusedSince(path: string, since: number): RefusedMessages {
  // Not read-only: such a connection would leave its side files behind. It writes nothing all the same.
  const sqlite = new Sqlite(path, { create: false, readwrite: true, strict: true });
  try {
    sqlite.run("PRAGMA busy_timeout = 5000");
    sqlite.run("PRAGMA query_only = ON");
    const nothing: RefusedMessages = { sessions: 0, count: 0, largestBytes: 0 };
    const table = sqlite.query("SELECT 1 FROM sqlite_schema WHERE name = 'refused_messages'").get();
    // A database of an older version.
    if (table === null) return nothing;
    return (
      sqlite
        .query<RefusedMessages, [number]>(
          `SELECT count(*) AS sessions, coalesce(sum(count), 0) AS count,
                  coalesce(max(largest_bytes), 0) AS largestBytes
           FROM refused_messages WHERE last_at >= ?`,
        )
        .get(since) ?? nothing
    );
  } finally {
    sqlite.close();
  }
}
