// What shuts out a token that is signed correctly: its own id, a cut that its account made, a disabled account, a deleted one.
import { and, eq, gt, isNotNull, or, sql } from "drizzle-orm";
import type { Database } from "../../storage/database.ts";
import type { Db } from "../../storage/query.ts";
import { findAccountPk } from "./accounts.ts";
import {
  accountAuthRequests,
  accounts,
  removedAccounts,
  revokedTokens,
  seenTokens,
  terminalAuthRequests,
} from "./schema.ts";

/** From where on the tokens of an account count. */
export interface Cut {
  /** Grows with each revocation of all; 0 before the first. */
  readonly generation: number;
  /** Unix second, by the clock of then. Decides only for generation 0: a cut of an earlier version. */
  readonly validFrom: number | null;
}

/** What a token must say that is issued under a cut, so that it is not refused. `nowMs` is the wall clock; seconds in the token. */
export function issueUnder({ generation, validFrom }: Cut, nowMs: number) {
  const now = Math.floor(nowMs / 1_000);
  return { generation, issuedAt: generation === 0 ? Math.max(now, validFrom ?? 0) : now };
}

export interface Refusals {
  /** Account ids. */
  readonly disabled: readonly string[];
  readonly removed: readonly string[];
  readonly cuts: readonly (readonly [string, Cut])[];
  readonly tokenIds: readonly string[];
}

export async function loadRefusals({ reads }: Database): Promise<Refusals> {
  const rows = reads
    .select({
      id: accounts.id,
      disabledAt: accounts.disabledAt,
      generation: accounts.tokensGeneration,
      validFrom: accounts.tokensValidFrom,
    })
    .from(accounts)
    .where(
      or(
        isNotNull(accounts.disabledAt),
        isNotNull(accounts.tokensValidFrom),
        gt(accounts.tokensGeneration, 0),
      ),
    )
    .all();
  return {
    disabled: rows.flatMap(({ id, disabledAt }) => (disabledAt === null ? [] : [id])),
    removed: reads
      .select({ id: removedAccounts.id })
      .from(removedAccounts)
      .all()
      .map(({ id }) => id),
    cuts: rows.flatMap(({ id, generation, validFrom }) =>
      validFrom === null && generation === 0 ? [] : [[id, { generation, validFrom }] as const],
    ),
    tokenIds: reads
      .select({ id: revokedTokens.tokenId })
      .from(revokedTokens)
      .all()
      .map(({ id }) => id),
  };
}

/** False when there is no such account; `announce` is then not called. */
export function setDisabled(
  { writer }: Database,
  account: string,
  disabled: boolean,
  announce: () => void,
): Promise<boolean> {
  return writer.run(
    (db) => {
      const now = Date.now();
      const changed = db
        .update(accounts)
        .set({ disabledAt: disabled ? now : null, updatedAt: now })
        .where(eq(accounts.id, account))
        .returning({ pk: accounts.pk })
        .get();
      return changed !== undefined;
    },
    (known) => {
      if (known) announce();
    },
  );
}

/** False when there is no such account. A token that was never seen can be revoked too. */
export function revokeToken(
  { writer }: Database,
  account: string,
  tokenId: string,
  announce: () => void,
): Promise<boolean> {
  return writer.run(
    (db) => {
      const accountPk = findAccountPk(db, account);
      if (accountPk === undefined) return false;
      db.insert(revokedTokens)
        .values({ tokenId, accountPk, revokedAt: Date.now() })
        .onConflictDoNothing()
        .run();
      forget(db, accountPk, tokenId);
      return true;
    },
    (known) => {
      if (known) announce();
    },
  );
}

/**
 * Revokes every token that was issued up to now, and every approval of a pairing that is not yet delivered.
 * Undefined when there is no such account.
 */
export function revokeAllTokens(
  { writer }: Database,
  account: string,
  announce: (cut: Cut) => void,
): Promise<Cut | undefined> {
  return writer.run(
    (db): Cut | undefined => {
      const accountPk = findAccountPk(db, account);
      if (accountPk === undefined) return undefined;
      const now = Date.now();
      const validFrom = Math.floor(now / 1_000);
      const cut = db
        .update(accounts)
        .set({
          // At least the time of now, so that a generation is not given twice after an older backup was restored.
          tokensGeneration: sql`max(${accounts.tokensGeneration} + 1, ${validFrom})`,
          tokensValidFrom: validFrom,
          updatedAt: now,
        })
        .where(eq(accounts.pk, accountPk))
        .returning({ generation: accounts.tokensGeneration })
        .get();
      for (const table of [terminalAuthRequests, accountAuthRequests])
        db.delete(table).where(eq(table.responseAccountPk, accountPk)).run();
      // The cut says it already.
      db.delete(revokedTokens).where(eq(revokedTokens.accountPk, accountPk)).run();
      forget(db, accountPk);
      return { ...cut, validFrom };
    },
    (cut) => {
      if (cut !== undefined) announce(cut);
    },
  );
}

function forget(db: Db, accountPk: number, tokenId?: string): void {
  const token = tokenId === undefined ? undefined : eq(seenTokens.tokenId, tokenId);
  db.delete(seenTokens)
    .where(and(eq(seenTokens.accountPk, accountPk), token))
    .run();
}
