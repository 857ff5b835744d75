// The newest of the ids that this server made, so that new ones go on after it, also when the clock was set back while it was down.
import { desc, sql } from "drizzle-orm";
import type { Database } from "../../storage/database.ts";
import { continueAfter } from "../../storage/ids.ts";
import {
  accessKeys,
  accountAuthRequests,
  accounts,
  feedItems,
  kvEntries,
  messages,
  pushTokens,
  serviceAccountTokens,
  sessions,
  terminalAuthRequests,
  uploadedFiles,
  usageReports,
} from "./schema.ts";

/** Not machines and artifacts: their ids are chosen by clients. */
const BY_ID = [
  accounts,
  sessions,
  terminalAuthRequests,
  accountAuthRequests,
  accessKeys,
  pushTokens,
  kvEntries,
  usageReports,
  feedItems,
  serviceAccountTokens,
  uploadedFiles,
];

/** Reads the end of each index; messages have none by id, but their row numbers grow with it. */
export async function continueIds({ reads }: Database): Promise<void> {
  // The greatest of our shape; an import may have brought others.
  for (const table of BY_ID) {
    const [newest] = reads.all<{ id: string }>(
      sql`SELECT id FROM ${table} WHERE id >= 'c' AND id < 'd' AND length(id) = 25 ORDER BY id DESC LIMIT 1`,
    );
    continueAfter(newest?.id);
  }
  const [message] = reads
    .select({ id: messages.id })
    .from(messages)
    .orderBy(desc(messages.pk))
    .limit(1)
    .all();
  continueAfter(message?.id);
}
