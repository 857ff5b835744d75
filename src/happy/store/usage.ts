// Usage reports: the latest one for each (account, session or none, key). The creation time stays, so a report counts where it began.
import { and, eq, isNull } from "drizzle-orm";
import type { Database } from "../../storage/database.ts";
import { newId } from "../../storage/ids.ts";
import { admitRows } from "./account-sizes.ts";
import { accountPk } from "./accounts.ts";
import { usageReports } from "./schema.ts";
import { findOwnedSession } from "./sessions.ts";

export interface UsageReport {
  readonly key: string;
  /** Undefined for a report that belongs to no session. */
  readonly sessionId: string | undefined;
  /** Numbers by name, among them `total`; whatever else was reported is kept. */
  readonly tokens: Readonly<Record<string, unknown>>;
  readonly cost: Readonly<Record<string, unknown>>;
}

export interface SavedReport {
  readonly id: string;
  readonly createdAt: number;
  readonly updatedAt: number;
}

/** Replaces the report of the same key. Undefined when the session is not the account's. @throws UnknownAccount */
export function saveUsageReport(
  { writer, quota, sizes }: Database,
  account: string,
  { key, sessionId, tokens, cost }: UsageReport,
  announce: (saved: SavedReport | undefined) => void,
): Promise<SavedReport | undefined> {
  const data = JSON.stringify({ tokens, cost });
  sizes.admit("metadata", "usage report", data);
  return writer.run((db): SavedReport | undefined => {
    const session = sessionId === undefined ? undefined : findOwnedSession(db, account, sessionId);
    if (sessionId !== undefined && session === undefined) return undefined;
    const owner = session?.accountPk ?? accountPk(db, account);
    const sessionPk = session?.pk ?? null;
    const now = Date.now();
    // As if it were new: what it replaces is not read for that.
    admitRows(db, quota, { account, pk: owner }, [key, data]);
    const known = db
      .update(usageReports)
      .set({ data, updatedAt: now })
      .where(
        and(
          eq(usageReports.accountPk, owner),
          sessionPk === null ? isNull(usageReports.sessionPk) : eq(usageReports.sessionPk, sessionPk),
          eq(usageReports.key, key),
        ),
      )
      .returning({ id: usageReports.id, createdAt: usageReports.createdAt })
      .get();
    if (known !== undefined) return { ...known, updatedAt: now };
    quota.admit("message");
    const id = newId(now);
    db.insert(usageReports)
      .values({ id, accountPk: owner, sessionPk, key, data, createdAt: now, updatedAt: now })
      .run();
    return { id, createdAt: now, updatedAt: now };
  }, announce);
}

export interface UsageFilter {
  readonly sessionId?: string | undefined;
  /** Unix milliseconds, both inclusive. */
  readonly from?: number | undefined;
  readonly to?: number | undefined;
}

export interface StoredReport {
  readonly createdAt: number;
  /** JSON text `{tokens, cost}`. */
  readonly data: string;
}
