// What shuts out a token that is signed correctly: its own id, a cut that its account made, a disabled account, a deleted one.
import { and, eq, isNotNull, or } from "drizzle-orm";
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

export interface Refusals {
  /** Account ids. */
  readonly disabled: readonly string[];
  readonly removed: readonly string[];
  /** Account ids with the Unix second from which on their tokens count. */
  readonly validFrom: readonly (readonly [string, number])[];
  readonly tokenIds: readonly string[];
}

export function loadRefusals({ reads }: Database): Refusals {
  const rows = reads
    .select({ id: accounts.id, disabledAt: accounts.disabledAt, validFrom: accounts.tokensValidFrom })
    .from(accounts)
    .where(or(isNotNull(accounts.disabledAt), isNotNull(accounts.tokensValidFrom)))
    .all();
  return {
    disabled: rows.flatMap(({ id, disabledAt }) => (disabledAt === null ? [] : [id])),
    removed: reads
      .select({ id: removedAccounts.id })
      .from(removedAccounts)
      .all()
      .map(({ id }) => id),
    validFrom: rows.flatMap(({ id, validFrom }) => (validFrom === null ? [] : [[id, validFrom] as const])),
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
 * The cut is the next second, because tokens know only whole ones. Undefined when there is no such account.
 */
export function revokeAllTokens(
  { writer }: Database,
  account: string,
  announce: (validFrom: number) => void,
): Promise<number | undefined> {
  return writer.run(
    (db) => {
      const accountPk = findAccountPk(db, account);
      if (accountPk === undefined) return undefined;
      const now = Date.now();
      const validFrom = Math.floor(now / 1000) + 1;
      db.update(accounts)
        .set({ tokensValidFrom: validFrom, updatedAt: now })
        .where(eq(accounts.pk, accountPk))
        .run();
      for (const table of [terminalAuthRequests, accountAuthRequests])
        db.delete(table).where(eq(table.responseAccountPk, accountPk)).run();
      // The cut says it already.
      db.delete(revokedTokens).where(eq(revokedTokens.accountPk, accountPk)).run();
      forget(db, accountPk);
      return validFrom;
    },
    (validFrom) => {
      if (validFrom !== undefined) announce(validFrom);
    },
  );
}

function forget(db: Db, accountPk: number, tokenId?: string): void {
  const token = tokenId === undefined ? undefined : eq(seenTokens.tokenId, tokenId);
  db.delete(seenTokens)
    .where(and(eq(seenTokens.accountPk, accountPk), token))
    .run();
}
