// Accounts: found or made by public key, looked up by id, and the per-account counter that numbers every update.
import { eq, sql } from "drizzle-orm";
import type { Database } from "../../storage/database.ts";
import { newId } from "../../storage/ids.ts";
import { type Db, prepared } from "../../storage/query.ts";
import { accounts } from "./schema.ts";

/** A token can name an account that is not in this database; its writes fail like the original's (HTTP contract 2.2). */
export class UnknownAccount extends Error {
  constructor() {
    super("the account of this token does not exist");
  }
}

const pkById = prepared((db) =>
  db
    .select({ pk: accounts.pk })
    .from(accounts)
    .where(eq(accounts.id, sql.placeholder("id")))
    .prepare(),
);

/** Integer key of an account for joins, undefined when unknown. */
export function findAccountPk(db: Db, account: string): number | undefined {
  return pkById(db).get({ id: account })?.pk;
}

/** @throws UnknownAccount */
export function accountPk(db: Db, account: string): number {
  const pk = findAccountPk(db, account);
  if (pk === undefined) throw new UnknownAccount();
  return pk;
}

const bump = prepared((db) =>
  db
    .update(accounts)
    .set({ seq: sql`${accounts.seq} + ${sql.placeholder("by")}`, updatedAt: sql`${sql.placeholder("now")}` })
    .where(eq(accounts.pk, sql.placeholder("pk")))
    .returning({ seq: accounts.seq })
    .prepare(),
);

/**
 * Takes `count` update numbers of an account, inside the operation that they announce; returns the first.
 * Every allocation touches the account (realtime contract 5).
 */
export function takeUpdateSeqs(db: Db, pk: number, now: number, count = 1): number {
  const row = bump(db).get({ by: count, now, pk });
  if (row === undefined) throw new UnknownAccount();
  return row.seq - count + 1;
}

/** @throws UnknownAccount */
export async function requireAccount({ reads }: Database, account: string): Promise<void> {
  accountPk(reads, account);
}

export interface SignedIn {
  readonly account: string;
  readonly created: boolean;
}

const signIn = prepared((db) =>
  db
    .insert(accounts)
    .values({
      id: sql.placeholder("id"),
      publicKey: sql.placeholder("publicKey"),
      createdAt: sql.placeholder("now"),
      updatedAt: sql.placeholder("now"),
    })
    .onConflictDoUpdate({ target: accounts.publicKey, set: { updatedAt: sql`excluded.updated_at` } })
    .returning({ id: accounts.id })
    .prepare(),
);

/** The account of an Ed25519 public key (uppercase hex), made on first sight, else touched. For use inside an operation. */
export function findOrCreateAccount(db: Db, publicKeyHex: string): SignedIn {
  const id = newId();
  const account = signIn(db).get({ id, publicKey: publicKeyHex, now: Date.now() }).id;
  return { account, created: account === id };
}

export type AccountRow = typeof accounts.$inferSelect;

const byId = prepared((db) =>
  db
    .select()
    .from(accounts)
    .where(eq(accounts.id, sql.placeholder("id")))
    .prepare(),
);

export function findAccount(db: Db, account: string): AccountRow | undefined {
  return byId(db).get({ id: account });
}
