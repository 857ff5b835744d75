// The `active` column of sessions and machines, and when each was last heard. No path here touches messages.
import { and, eq, lte, sql } from "drizzle-orm";
import type { Database } from "../../storage/database.ts";
import { type Db, prepared } from "../../storage/query.ts";
import { accounts, machines, sessions } from "./schema.ts";

export type PresenceKind = "session" | "machine";

export interface PresenceRow {
  readonly kind: PresenceKind;
  readonly pk: number;
  readonly id: string;
  readonly account: string;
  readonly active: boolean;
  readonly lastActiveAt: number;
}

const TABLES = { session: sessions, machine: machines } as const;

const one = (kind: PresenceKind) => {
  const table = TABLES[kind];
  return prepared((db) =>
    db
      .select({ pk: table.pk, active: table.active, lastActiveAt: table.lastActiveAt })
      .from(table)
      .innerJoin(accounts, eq(accounts.pk, table.accountPk))
      .where(and(eq(table.id, sql.placeholder("id")), eq(accounts.id, sql.placeholder("account"))))
      .prepare(),
  );
};
const OWNED = { session: one("session"), machine: one("machine") };

/** What is stored about a thing that belongs to the account, else undefined. */
export function findPresence(
  db: Db,
  kind: PresenceKind,
  account: string,
  id: string,
): PresenceRow | undefined {
  const row = OWNED[kind](db).get({ account, id });
  return row === undefined ? undefined : { kind, account, id, ...row };
}

export interface Heard {
  readonly kind: PresenceKind;
  readonly pk: number;
  /** Beside the key, which the database gives away again once its row is deleted. */
  readonly id: string;
  readonly at: number;
}

/** Stores heartbeats of many things at once: active, last heard at. */
export function storeHeartbeats({ writer }: Database, heard: readonly Heard[]): Promise<void> {
  return writer.run((db) => {
    const now = Date.now();
    for (const { kind, pk, id, at } of heard) {
      const table = TABLES[kind];
      db.update(table)
        .set({ active: true, lastActiveAt: at, updatedAt: now })
        .where(and(eq(table.pk, pk), eq(table.id, id)))
        .run();
    }
  });
}

/**
 * Marks one thing inactive as of `at`. Announces with whether it had been active; undefined when the account has no such thing.
 */
export function storeInactive(
  { writer }: Database,
  kind: PresenceKind,
  account: string,
  id: string,
  at: number,
  announce: (wasActive: boolean | undefined) => void,
): Promise<boolean | undefined> {
  return writer.run((db) => {
    const row = findPresence(db, kind, account, id);
    if (row === undefined) return undefined;
    deactivate(db, row, at);
    return row.active;
  }, announce);
}

/**
 * Marks one thing inactive as of `at`, unless it is already: what was ended keeps its time and its place in lists when its last
 * socket leaves later. Announces with whether it turned.
 */
export function storeLost(
  { writer }: Database,
  kind: PresenceKind,
  account: string,
  id: string,
  at: number,
  announce: (turned: boolean) => void,
): Promise<boolean> {
  return writer.run((db) => {
    const row = findPresence(db, kind, account, id);
    if (row?.active !== true) return false;
    deactivate(db, row, at);
    return true;
  }, announce);
}

function deactivate(db: Db, { kind, pk }: PresenceRow, at: number): void {
  const table = TABLES[kind];
  db.update(table)
    .set({ active: false, lastActiveAt: at, updatedAt: Date.now() })
    .where(eq(table.pk, pk))
    .run();
}

/** Everything stored as active and last heard at or before `heardBefore`. Reads a partial index of active rows only. */
export function listActive({ reads }: Pick<Database, "reads">, heardBefore: number): PresenceRow[] {
  return (["session", "machine"] as const).flatMap((kind) => {
    const table = TABLES[kind];
    return reads
      .select({
        pk: table.pk,
        id: table.id,
        account: accounts.id,
        active: table.active,
        lastActiveAt: table.lastActiveAt,
      })
      .from(table)
      .innerJoin(accounts, eq(accounts.pk, table.accountPk))
      .where(and(sql`${table.active} = 1`, lte(table.lastActiveAt, heardBefore)))
      .all()
      .map((row) => ({ kind, ...row }));
  });
}

/** Turns rows inactive that are still active and were not heard since they were listed; announces those it turned. */
export function storeSilence(
  { writer }: Database,
  rows: readonly PresenceRow[],
  announce: (turned: readonly PresenceRow[]) => void,
): Promise<readonly PresenceRow[]> {
  return writer.run((db) => {
    const now = Date.now();
    return rows.filter(({ kind, pk, lastActiveAt }) => {
      const table = TABLES[kind];
      const turned = db
        .update(table)
        .set({ active: false, updatedAt: now })
        .where(and(eq(table.pk, pk), sql`${table.active} = 1`, eq(table.lastActiveAt, lastActiveAt)))
        .returning({ pk: table.pk })
        .all();
      return turned.length > 0;
    });
  }, announce);
}
