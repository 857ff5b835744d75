// Which tokens are in use, so that a person can tell which one to revoke. Each account keeps its latest ones only.
import { desc, eq, sql } from "drizzle-orm";
import type { Database } from "../../storage/database.ts";
import { findAccountPk } from "./accounts.ts";
import { accounts, seenTokens } from "./schema.ts";

const MAX_PER_ACCOUNT = 100;

export interface Sighting {
  readonly account: string;
  readonly tokenId: string;
  /** What the client calls itself. */
  readonly label: string;
  /** Unix seconds. */
  readonly issuedAt: number;
  readonly seenAt: number;
}

/** Tokens of accounts that do not exist are left out. */
export function storeSightings({ writer }: Database, sightings: readonly Sighting[]): Promise<void> {
  return writer.run((db) => {
    const touched = new Set<number>();
    for (const { account, tokenId, label, issuedAt, seenAt } of sightings) {
      const accountPk = findAccountPk(db, account);
      if (accountPk === undefined) continue;
      touched.add(accountPk);
      db.insert(seenTokens)
        .values({ accountPk, tokenId, label, issuedAt, firstSeenAt: seenAt, lastSeenAt: seenAt })
        .onConflictDoUpdate({
          target: [seenTokens.accountPk, seenTokens.tokenId],
          set: { label, lastSeenAt: seenAt },
        })
        .run();
    }
    for (const pk of touched)
      db.run(sql`DELETE FROM seen_tokens WHERE account_pk = ${pk} AND token_id IN (SELECT token_id
        FROM seen_tokens WHERE account_pk = ${pk} ORDER BY last_seen_at DESC LIMIT -1 OFFSET ${MAX_PER_ACCOUNT})`);
  });
}

export interface SeenToken {
  readonly account: string;
  readonly tokenId: string;
  readonly label: string;
  readonly issuedAt: number;
  readonly firstSeenAt: number;
  readonly lastSeenAt: number;
}

/** Of one account, or of all; those seen last come first. */
export function listSeenTokens({ reads }: Database, account?: string): SeenToken[] {
  const { tokenId, label, issuedAt, firstSeenAt, lastSeenAt } = seenTokens;
  return reads
    .select({ account: accounts.id, tokenId, label, issuedAt, firstSeenAt, lastSeenAt })
    .from(seenTokens)
    .innerJoin(accounts, eq(accounts.pk, seenTokens.accountPk))
    .where(account === undefined ? undefined : eq(accounts.id, account))
    .orderBy(desc(lastSeenAt))
    .all();
}
