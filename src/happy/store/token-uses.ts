// Which tokens are in use, so that a person can tell which one to revoke. Each account keeps its latest ones only. The times are shown
// and not compared with now: a clock that was wrong shows, and nothing else comes of it.
import { desc, eq, sql } from "drizzle-orm";
import type { Database } from "../../storage/database.ts";
import { findAccountPk } from "./accounts.ts";
import { accounts, seenTokens } from "./schema.ts";

export interface TokenUse {
  readonly account: string;
  readonly tokenId: string;
  /** What the client calls itself. */
  readonly label: string;
  /** Unix seconds. */
  readonly issuedAt: number;
  readonly generation: number;
  readonly seenAt: number;
}

/**
 * Tokens of accounts that do not exist are left out. Of an account with more than `limit` those seen least lately are forgotten; 0 keeps
 * all. @returns account ids of which some were forgotten.
 */
export function storeTokenUses(
  { writer }: Database,
  uses: readonly TokenUse[],
  limit: number,
): Promise<string[]> {
  return writer.run((db) => {
    const touched = new Map<number, string>();
    for (const { account, tokenId, label, issuedAt, generation, seenAt } of uses) {
      const accountPk = findAccountPk(db, account);
      if (accountPk === undefined) continue;
      touched.set(accountPk, account);
      db.insert(seenTokens)
        .values({
          ...{ accountPk, tokenId, label, issuedAt, generation },
          firstSeenAt: seenAt,
          lastSeenAt: seenAt,
        })
        .onConflictDoUpdate({
          target: [seenTokens.accountPk, seenTokens.tokenId],
          set: { label, lastSeenAt: seenAt },
        })
        .run();
    }
    if (limit === 0) return [];
    return [...touched].flatMap(([pk, account]) => {
      const forgotten = db
        .delete(seenTokens)
        .where(
          sql`account_pk = ${pk} AND token_id IN (SELECT token_id FROM seen_tokens
            WHERE account_pk = ${pk} ORDER BY last_seen_at DESC LIMIT -1 OFFSET ${limit})`,
        )
        .returning({ pk: seenTokens.accountPk })
        .all();
      return forgotten.length > 0 ? [account] : [];
    });
  });
}

export interface SeenToken {
  readonly account: string;
  readonly tokenId: string;
  readonly label: string;
  readonly issuedAt: number;
  readonly generation: number;
  readonly firstSeenAt: number;
  readonly lastSeenAt: number;
}

/** Of one account, or of all; those seen last come first. */
export async function listSeenTokens({ reads }: Database, account?: string): Promise<SeenToken[]> {
  const { tokenId, label, issuedAt, generation, firstSeenAt, lastSeenAt } = seenTokens;
  return reads
    .select({ account: accounts.id, tokenId, label, issuedAt, generation, firstSeenAt, lastSeenAt })
    .from(seenTokens)
    .innerJoin(accounts, eq(accounts.pk, seenTokens.accountPk))
    .where(account === undefined ? undefined : eq(accounts.id, account))
    .orderBy(desc(lastSeenAt))
    .all();
}
