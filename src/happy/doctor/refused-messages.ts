// Messages that were too large to be stored. Their sender was told that all is well, because it would repeat them for ever; so it is
// told here.
import { Database as Sqlite } from "bun:sqlite";
import { statSync } from "node:fs";
import { join } from "node:path";
import { type Finding, ok, problemOf, skipped, warning } from "../../doctor/finding.ts";
import type { HouseConfig } from "../../protocol/house-settings.ts";

const DAYS = 30;

interface Refused {
  readonly sessions: number;
  readonly count: number;
  readonly largestBytes: number;
}

export function checkRefusedMessages({ dataDir, maxContentBytes }: HouseConfig, now = Date.now()): Finding {
  const path = join(dataDir, "happy.db");
  if (statSync(path, { throwIfNoEntry: false }) === undefined)
    return skipped("messages", "There is no database yet.");
  try {
    const { sessions, count, largestBytes } = refusedSince(path, now - DAYS * 86_400_000);
    if (count === 0) return ok("messages", `No message was too large to be stored in the last ${DAYS} days.`);
    return warning(
      "messages",
      `${count} ${count === 1 ? "message" : "messages"} of ${sessions} ${sessions === 1 ? "session" : "sessions"} ` +
        `were larger than permitted and not stored in the last ${DAYS} days; the largest had ${largestBytes} bytes, ` +
        `permitted are ${maxContentBytes}. Their senders were not told.`,
      { fix: `--max-content-bytes ${largestBytes}   (the server needs about six times as much memory)` },
    );
  } catch (error) {
    return skipped("messages", `The database cannot be asked: ${problemOf(error)}.`);
  }
}

function refusedSince(path: string, since: number): Refused {
  // Not read-only: such a connection would leave its side files behind. It writes nothing all the same.
  const sqlite = new Sqlite(path, { create: false, readwrite: true, strict: true });
  try {
    sqlite.run("PRAGMA busy_timeout = 5000");
    sqlite.run("PRAGMA query_only = ON");
    const nothing: Refused = { sessions: 0, count: 0, largestBytes: 0 };
    const table = sqlite.query("SELECT 1 FROM sqlite_schema WHERE name = 'refused_messages'").get();
    // A database of an older version.
    if (table === null) return nothing;
    return (
      sqlite
        .query<Refused, [number]>(
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
