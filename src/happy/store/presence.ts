// The `active` column of sessions and machines, and when each was last heard: never later than the clock that writes it says, so that
// a row that carries a time of the future is healed by whatever is stored next. No path here touches messages.
import { and, eq, isNull, sql } from "drizzle-orm";
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
  /** Set while a person's archive holds; machines have none. */
  readonly archivedSeq: number | null;
}

const TABLES = { session: sessions, machine: machines } as const;

const one = (kind: PresenceKind) => {
  const table = TABLES[kind];
  return prepared((db) =>
    db
      .select({
        pk: table.pk,
        active: table.active,
        lastActiveAt: table.lastActiveAt,
        archivedSeq: kind === "session" ? sessions.archivedSeq : sql<null>`NULL`,
      })
      .from(table)
      .innerJoin(accounts, eq(accounts.pk, table.accountPk))
      .where(and(eq(table.id, sql.placeholder("id")), eq(accounts.id, sql.placeholder("account"))))
      .prepare(),
  );
};
const OWNED = { session: one("session"), machine: one("machine") };

/** What is stored about a thing that belongs to the account, else undefined. */
export async function findPresence(
  { reads }: Database,
  kind: PresenceKind,
  account: string,
  id: string,
): Promise<PresenceRow | undefined> {
  return owned(reads, kind, account, id);
}

function owned(db: Db, kind: PresenceKind, account: string, id: string): PresenceRow | undefined {
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

/** A heartbeat does not wake what a person archived. */
const isAwake = (kind: PresenceKind) => (kind === "session" ? isNull(sessions.archivedSeq) : undefined);

/** Stores heartbeats of many things at once: active, last heard at. */
export function storeHeartbeats({ writer }: Database, heard: readonly Heard[]): Promise<void> {
  return writer.run((db) => {
    const now = Date.now();
    for (const { kind, pk, id, at } of heard) {
      const table = TABLES[kind];
      db.update(table)
        .set({ active: true, lastActiveAt: Math.min(at, now), updatedAt: now })
        .where(and(eq(table.pk, pk), eq(table.id, id), isAwake(kind)))
        .run();
    }
  });
}

export interface SessionEnd {
  readonly account: string;
  readonly session: string;
  readonly at: number;
  /** Place of a person's archive. Undefined when the session only ends; an archive that holds then goes on. */
  readonly archiveSeq: number | undefined;
}

/**
 * Marks a session inactive as of `at`, whether or not it was active. `found` is called at once, `announce` once it is durable, neither
 * when the account has no such session. Resolves with whether it has.
 */
export function storeEnd(
  { writer }: Database,
  { account, session, at, archiveSeq }: SessionEnd,
  found: () => void,
  announce: () => void,
): Promise<boolean> {
  return writer.run(
    (db) => {
      const row = owned(db, "session", account, session);
      if (row === undefined) return false;
      found();
      db.update(sessions)
        .set({ active: false, lastActiveAt: at, updatedAt: Date.now(), archivedSeq: archiveSeq })
        .where(eq(sessions.pk, row.pk))
        .run();
      return true;
    },
    (isOwned) => {
      if (isOwned) announce();
    },
  );
}

/** The greatest place of an archive that holds, 0 without any. */
export async function newestArchive({ reads }: Database): Promise<number> {
  const newest = sql<number | null>`max(${sessions.archivedSeq})`;
  const row = reads.select({ newest }).from(sessions).where(sql`${sessions.archivedSeq} IS NOT NULL`).get();
  return row?.newest ?? 0;
}

/**
 * Marks one thing inactive as of `lostAt`, unless it is already: what was ended keeps its time and its place in lists when its last
 * socket leaves later. Announces as of when, and whether it turned.
 */
export function storeLost(
  { writer }: Database,
  kind: PresenceKind,
  account: string,
  id: string,
  lostAt: number,
  announce: (at: number, turned: boolean) => void,
): Promise<boolean> {
  const now = Date.now();
  const at = Math.min(lostAt, now);
  return writer.run(
    (db) => {
      const row = owned(db, kind, account, id);
      if (row?.active !== true) return false;
      const table = TABLES[kind];
      db.update(table)
        .set({ active: false, lastActiveAt: at, updatedAt: now })
        .where(eq(table.pk, row.pk))
        .run();
      return true;
    },
    (turned) => announce(at, turned),
  );
}

/** Everything that is stored as active. Reads a partial index of active rows only. */
export async function listActive({ reads }: Database): Promise<PresenceRow[]> {
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
      .where(sql`${table.active} = 1`)
      .all()
      .map((row) => ({ kind, archivedSeq: null, ...row }));
  });
}

/** Turns rows inactive that are still active and were not heard since they were listed; announces those it turned, as stored now. */
export function storeSilence(
  { writer }: Database,
  rows: readonly PresenceRow[],
  announce: (turned: readonly PresenceRow[]) => void,
): Promise<readonly PresenceRow[]> {
  return writer.run((db) => {
    const now = Date.now();
    return rows.flatMap((row) => {
      const table = TABLES[row.kind];
      const lastActiveAt = Math.min(row.lastActiveAt, now);
      const turned = db
        .update(table)
        .set({ active: false, lastActiveAt, updatedAt: now })
        .where(and(eq(table.pk, row.pk), sql`${table.active} = 1`, eq(table.lastActiveAt, row.lastActiveAt)))
        .returning({ pk: table.pk })
        .all();
      return turned.length > 0 ? [{ ...row, active: false, lastActiveAt }] : [];
    });
  }, announce);
}
