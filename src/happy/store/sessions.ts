// Sessions: create-or-return by tag, lists, versioned metadata and agent state, deletion with all that belongs to one.
import { and, desc, eq, gt, lt, sql } from "drizzle-orm";
import type { Database } from "../../storage/database.ts";
import { newId } from "../../storage/ids.ts";
import { type Light, lightRow } from "../../storage/large-rows.ts";
import { type Db, prepared } from "../../storage/query.ts";
import {
  AFTER_EVERY_TEXT,
  type Listed,
  NOTHING,
  PAGE_BYTES,
  weighedList,
} from "../../storage/weighed-list.ts";
import { admitRows } from "./account-sizes.ts";
import { accountPk, findAccountPk, takeUpdateSeqs } from "./accounts.ts";
import { accessKeys, accounts, messages, sessions, usageReports } from "./schema.ts";

export type SessionRow = typeof sessions.$inferSelect;
/** A session whose large texts may still be in the database. */
export type LightSession = Light<SessionRow, "metadata" | "agentState">;

const owned = prepared((db) =>
  db
    .select({ pk: sessions.pk, accountPk: sessions.accountPk })
    .from(sessions)
    .innerJoin(accounts, eq(accounts.pk, sessions.accountPk))
    .where(and(eq(sessions.id, sql.placeholder("session")), eq(accounts.id, sql.placeholder("account"))))
    .prepare(),
);

/** Integer keys of a session that belongs to the account, else undefined: a foreign session looks like none. */
export function findOwnedSession(db: Db, account: string, session: string) {
  return owned(db).get({ account, session });
}

export async function ownsSession({ reads }: Database, account: string, session: string): Promise<boolean> {
  return findOwnedSession(reads, account, session) !== undefined;
}

const whole = prepared((db) =>
  db
    .select()
    .from(sessions)
    .where(eq(sessions.pk, sql.placeholder("pk")))
    .prepare(),
);

export function findSession(db: Db, account: string, session: string): SessionRow | undefined {
  const keys = findOwnedSession(db, account, session);
  return keys === undefined ? undefined : whole(db).get({ pk: keys.pk });
}

const ofAccount = eq(sessions.accountPk, sql.placeholder("accountPk"));
/** What may be large, and what is changed by version. */
export const SESSION_PARTS = { metadata: "metadataVersion", agentState: "agentStateVersion" } as const;

const light = lightRow(sessions, SESSION_PARTS);

/** A session by its integer key. */
export async function findLightSession({ reads }: Database, pk: number): Promise<LightSession | undefined> {
  return light(reads, pk);
}

const newest = weighedList({
  table: sessions,
  large: SESSION_PARTS,
  where: ofAccount,
  order: desc(sessions.updatedAt),
});

/** Newest change first, at most `limit`. */
export async function listSessions(
  { reads }: Database,
  account: string,
  limit: number,
): Promise<Listed<LightSession>> {
  const pk = findAccountPk(reads, account);
  return pk === undefined ? NOTHING : newest(reads, { values: { accountPk: pk }, limit });
}

const active = weighedList({
  table: sessions,
  large: SESSION_PARTS,
  where: and(ofAccount, sql`${sessions.active} = 1`, gt(sessions.lastActiveAt, sql.placeholder("since"))),
  order: desc(sessions.lastActiveAt),
});

/** Active and heard after `since`, most recently heard first. */
export async function listActiveSessions(
  { reads }: Database,
  account: string,
  since: number,
  limit: number,
): Promise<Listed<LightSession>> {
  const pk = findAccountPk(reads, account);
  return pk === undefined ? NOTHING : active(reads, { values: { accountPk: pk, since }, limit });
}

const byId = weighedList({
  table: sessions,
  large: SESSION_PARTS,
  where: and(
    ofAccount,
    lt(sessions.id, sql.placeholder("beforeId")),
    gt(sessions.updatedAt, sql.placeholder("changedSince")),
  ),
  order: desc(sessions.id),
});

/** Newest created first; ids below `beforeId`, changed after `changedSince`. Cut at the byte budget of a page. */
export async function pageSessions(
  { reads }: Database,
  account: string,
  page: { limit: number; beforeId?: string | undefined; changedSince?: number | undefined },
): Promise<Listed<LightSession> & { readonly lastId: string | undefined }> {
  const pk = findAccountPk(reads, account);
  if (pk === undefined) return { ...NOTHING, lastId: undefined };
  const { limit, beforeId = AFTER_EVERY_TEXT, changedSince = -1 } = page;
  const values = { accountPk: pk, beforeId, changedSince };
  const listed = byId(reads, { values, limit, budgetBytes: PAGE_BYTES });
  return {
    ...listed,
    lastId: listed.lastPk === undefined ? undefined : idOf(reads).get({ pk: listed.lastPk })?.id,
  };
}

const idOf = prepared((db) =>
  db
    .select({ id: sessions.id })
    .from(sessions)
    .where(eq(sessions.pk, sql.placeholder("pk")))
    .prepare(),
);

export interface NewSession {
  readonly tag: string;
  readonly metadata: string;
  readonly dataEncryptionKey: Uint8Array | null;
}

export interface OpenedSession {
  readonly row: SessionRow;
  /** Number of the announcement when the session is new. */
  readonly updateSeq: number | undefined;
}

/** Create-or-return by (account, tag). An existing session is returned unchanged, but is not archived any more. @throws UnknownAccount */
export function openSession(
  { writer, quota, sizes }: Database,
  account: string,
  { tag, metadata, dataEncryptionKey }: NewSession,
  announce: (opened: OpenedSession) => void,
): Promise<OpenedSession> {
  sizes.admit("metadata", "metadata", metadata);
  sizes.admitBytes("metadata", "dataEncryptionKey", dataEncryptionKey?.length ?? 0);
  return writer.run((db) => {
    const owner = accountPk(db, account);
    const existing = db
      .select()
      .from(sessions)
      .where(and(eq(sessions.accountPk, owner), eq(sessions.tag, tag)))
      .get();
    if (existing !== undefined) {
      if (existing.archivedSeq !== null)
        db.update(sessions).set({ archivedSeq: null }).where(eq(sessions.pk, existing.pk)).run();
      return { row: { ...existing, archivedSeq: null }, updateSeq: undefined };
    }
    quota.admit("thing");
    admitRows(db, quota, { account, pk: owner }, [tag, metadata]);
    const now = Date.now();
    const updateSeq = takeUpdateSeqs(db, owner, now);
    const row = db
      .insert(sessions)
      .values({
        id: newId(now),
        accountPk: owner,
        tag,
        metadata,
        dataEncryptionKey,
        active: true,
        lastActiveAt: now,
        createdAt: now,
        updatedAt: now,
      })
      .returning()
      .get();
    return { row, updateSeq };
  }, announce);
}

/** Deletes a session, its messages, usage reports and access keys. False when the account has no such session. */
export function deleteSession(
  { writer }: Database,
  account: string,
  session: string,
  announce: (updateSeq: number) => void,
): Promise<boolean> {
  return writer
    .run(
      (db) => {
        const keys = findOwnedSession(db, account, session);
        if (keys === undefined) return undefined;
        db.delete(messages).where(eq(messages.sessionPk, keys.pk)).run();
        db.delete(usageReports).where(eq(usageReports.sessionPk, keys.pk)).run();
        db.delete(accessKeys).where(eq(accessKeys.sessionPk, keys.pk)).run();
        db.delete(sessions).where(eq(sessions.pk, keys.pk)).run();
        return takeUpdateSeqs(db, keys.accountPk, Date.now());
      },
      (seq) => {
        if (seq !== undefined) announce(seq);
      },
    )
    .then((seq) => seq !== undefined);
}
