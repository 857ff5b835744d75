// Reads stored usage reports batch by batch: an account may have any number of them, and nobody waits behind one that asks for all.
import { and, asc, eq, gte, lte, type SQL, sql } from "drizzle-orm";
import type { Database } from "../../storage/database.ts";
import { PAGE_BYTES, weighedList } from "../../storage/weighed-list.ts";
import { findAccountPk } from "./accounts.ts";
import { usageReports } from "./schema.ts";
import { findOwnedSession } from "./sessions.ts";
import type { StoredReport, UsageFilter } from "./usage.ts";

const BATCH_ROWS = 500;

const list = (filter: SQL | undefined) =>
  weighedList({
    table: usageReports,
    large: { data: null },
    where: and(
      eq(usageReports.accountPk, sql.placeholder("account")),
      filter,
      gte(usageReports.createdAt, sql.placeholder("from")),
      lte(usageReports.createdAt, sql.placeholder("to")),
      sql`(${usageReports.createdAt}, ${usageReports.pk}) > (${sql.placeholder("afterTime")}, ${sql.placeholder("afterPk")})`,
    ),
    order: asc(usageReports.createdAt),
    thenOrder: asc(usageReports.pk),
  });
const everyReport = list(undefined);
const reportsOfSession = list(eq(usageReports.sessionPk, sql.placeholder("session")));

/** Reports of the account, oldest first, in batches of bounded size. Undefined when the session is not the account's. */
export async function usageReportBatches(
  { reads }: Database,
  account: string,
  { sessionId, from = 0, to = Number.MAX_SAFE_INTEGER }: UsageFilter,
): Promise<AsyncIterable<StoredReport[]> | undefined> {
  const session = sessionId === undefined ? undefined : findOwnedSession(reads, account, sessionId)?.pk;
  if (sessionId !== undefined && session === undefined) return undefined;
  const pk = findAccountPk(reads, account);
  const read = session === undefined ? everyReport : reportsOfSession;
  return (async function* () {
    if (pk === undefined) return;
    for (let afterTime = -1, afterPk = -1, goOn = true; goOn; ) {
      const values = { account: pk, session, from, to, afterTime, afterPk };
      const listed = read(reads, { values, limit: BATCH_ROWS, budgetBytes: PAGE_BYTES });
      goOn = listed.hasMore;
      const batch: StoredReport[] = [];
      for await (const { createdAt, pk: reportPk, data } of listed.rows) {
        [afterTime, afterPk] = [createdAt, reportPk];
        batch.push({ createdAt, data: typeof data === "string" ? data : `${await data.whole()}` });
      }
      // All of it was deleted meanwhile.
      if (batch.length === 0) return;
      yield batch;
    }
  })();
}
