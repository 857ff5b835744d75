// What is older than the operator keeps: counted for whoever asks first, and deleted in small operations, each of which looks again
// whether what it deletes is still old. A session that came back to life meanwhile keeps what it has left.
import { and, eq, lt, type SQL, sql } from "drizzle-orm";
import type { Database } from "../../storage/database.ts";
import type { Db } from "../../storage/query.ts";
import { takeUpdateSeqs } from "./accounts.ts";
import { accessKeys, accounts, messages, sessions, usageReports } from "./schema.ts";

/** Rows of each table that are asked for their time: the newest, of which some may be dated by a clock that was ahead. */
const NEWEST_ROWS = 200;

/** Rows that one operation deletes: a few milliseconds, also for a server that waits for another process. */
const SLICE = 200;

export interface OldCutoffs {
  readonly sessions: number | undefined;
  readonly messages: number | undefined;
  readonly usage: number | undefined;
  readonly feed: number | undefined;
}

export interface OldRows {
  readonly kind: "sessions" | "messages" | "usage reports" | "feed entries";
  /** Account id. */
  readonly account: string;
  readonly count: number;
  readonly bytes: number;
}

/** The newest time of anything that is stored that is not later than `now`: the last moment that is known to have been. */
export async function newestMoment({ reads }: Database, now: number): Promise<number | undefined> {
  const newest = (table: string, time: string) =>
    sql.raw(
      `SELECT max(at) AS at FROM (SELECT ${time} AS at FROM ${table} ORDER BY rowid DESC LIMIT ${NEWEST_ROWS}) WHERE at <= ${now}`,
    );
  const [found] = reads.all<{ at: number | null }>(
    sql`SELECT max(at) AS at FROM (${newest("messages", "created_at")} UNION ALL ${newest("sessions", "last_active_at")}
        UNION ALL ${newest("machines", "last_active_at")} UNION ALL ${newest("usage_reports", "updated_at")}
        UNION ALL ${newest("feed_items", "created_at")} UNION ALL ${newest("accounts", "created_at")}
        UNION ALL SELECT max(last_seen_at) AS at FROM seen_tokens WHERE last_seen_at <= ${now})`,
  );
  return found?.at ?? undefined;
}

/** Inactive, and neither heard nor changed since. */
const inactiveSince = (before: number): SQL =>
  sql`(sessions.active = 0 AND sessions.last_active_at < ${before} AND sessions.updated_at < ${before})`;

/** What would go, for each account. */
export async function countOld(
  { reads }: Database,
  { sessions: dead, messages: silent, usage, feed }: OldCutoffs,
): Promise<OldRows[]> {
  const ask = (kind: OldRows["kind"], query: SQL): OldRows[] =>
    reads
      .all<{ account: string; count: number; bytes: number | null }>(query)
      .filter(({ count }) => count > 0)
      .map(({ account, count, bytes }) => ({ kind, account, count, bytes: bytes ?? 0 }));
  const messageBytes = sql`coalesce(sum(octet_length(messages.content)), 0)`;
  return [
    ...(dead === undefined
      ? []
      : ask(
          "sessions",
          sql`SELECT accounts.id AS account, count(*) AS count,
                sum(octet_length(sessions.metadata) + coalesce(octet_length(sessions.agent_state), 0)
                  + (SELECT ${messageBytes} FROM messages WHERE messages.session_pk = sessions.pk)) AS bytes
              FROM sessions JOIN accounts ON accounts.pk = sessions.account_pk
              WHERE ${inactiveSince(dead)} GROUP BY accounts.pk ORDER BY accounts.pk`,
        )),
    ...(silent === undefined
      ? []
      : ask(
          "messages",
          sql`SELECT accounts.id AS account, count(*) AS count, ${messageBytes} AS bytes
              FROM sessions JOIN accounts ON accounts.pk = sessions.account_pk
                JOIN messages ON messages.session_pk = sessions.pk
              WHERE ${inactiveSince(silent)} AND NOT ${dead === undefined ? sql`0` : inactiveSince(dead)}
              GROUP BY accounts.pk ORDER BY accounts.pk`,
        )),
    ...(usage === undefined
      ? []
      : ask(
          "usage reports",
          sql`SELECT accounts.id AS account, count(*) AS count, sum(octet_length(usage_reports.data)) AS bytes
              FROM usage_reports JOIN accounts ON accounts.pk = usage_reports.account_pk
              WHERE usage_reports.updated_at < ${usage} GROUP BY accounts.pk ORDER BY accounts.pk`,
        )),
    ...(feed === undefined
      ? []
      : ask(
          "feed entries",
          sql`SELECT accounts.id AS account, count(*) AS count, sum(octet_length(feed_items.body)) AS bytes
              FROM feed_items JOIN accounts ON accounts.pk = feed_items.account_pk
              WHERE feed_items.created_at < ${feed} GROUP BY accounts.pk ORDER BY accounts.pk`,
        )),
  ];
}

export interface OldSession {
  readonly pk: number;
  readonly id: string;
  /** Account id. */
  readonly account: string;
}

/** The next inactive session after the key `afterPk`; with messages only, when they are what is wanted. */
export async function nextInactiveSession(
  { reads }: Database,
  before: number,
  afterPk: number,
  withMessages: boolean,
): Promise<OldSession | undefined> {
  const [found] = reads.all<OldSession>(
    sql`SELECT sessions.pk AS pk, sessions.id AS id, accounts.id AS account
        FROM sessions JOIN accounts ON accounts.pk = sessions.account_pk
        WHERE sessions.pk > ${afterPk} AND ${inactiveSince(before)}
          AND ${withMessages ? sql`EXISTS (SELECT 1 FROM messages WHERE messages.session_pk = sessions.pk)` : sql`1`}
        ORDER BY sessions.pk LIMIT 1`,
  );
  return found;
}

/** Oldest first. @returns how many went; 0 when none are left, or the session is no longer inactive. */
export function deleteSomeMessages({ writer }: Database, session: number, before: number): Promise<number> {
  return writer.run((db) => {
    if (!isInactive(db, session, before)) return 0;
    return changes(
      db,
      sql`DELETE FROM messages WHERE pk IN
          (SELECT pk FROM messages WHERE session_pk = ${session} ORDER BY seq LIMIT ${SLICE})`,
    );
  });
}

/** Deletes an inactive session whose messages are gone, with all that belongs to it. False when it came back to life. */
export async function deleteInactiveSession(
  { writer }: Database,
  session: number,
  before: number,
  announce: (updateSeq: number) => void,
): Promise<boolean> {
  const seq = await writer.run(
    (db) => {
      if (!isInactive(db, session, before)) return undefined;
      const row = db
        .select({ accountPk: sessions.accountPk })
        .from(sessions)
        .where(eq(sessions.pk, session))
        .get();
      if (row === undefined) return undefined;
      db.delete(messages).where(eq(messages.sessionPk, session)).run();
      db.delete(usageReports).where(eq(usageReports.sessionPk, session)).run();
      db.delete(accessKeys).where(eq(accessKeys.sessionPk, session)).run();
      db.delete(sessions).where(eq(sessions.pk, session)).run();
      return takeUpdateSeqs(db, row.accountPk, Date.now());
    },
    (taken) => {
      if (taken !== undefined) announce(taken);
    },
  );
  return seq !== undefined;
}

export function deleteSomeUsage({ writer }: Database, before: number): Promise<number> {
  return writer.run((db) =>
    changes(
      db,
      sql`DELETE FROM usage_reports WHERE pk IN
          (SELECT pk FROM usage_reports WHERE updated_at < ${before} LIMIT ${SLICE})`,
    ),
  );
}

export function deleteSomeFeed({ writer }: Database, before: number): Promise<number> {
  return writer.run((db) =>
    changes(
      db,
      sql`DELETE FROM feed_items WHERE pk IN (SELECT pk FROM feed_items WHERE created_at < ${before} LIMIT ${SLICE})`,
    ),
  );
}

export interface SessionOwner {
  /** Account id. */
  readonly account: string;
  /** It is older than is kept, and goes next. */
  readonly isLeaving: boolean;
}

/** Whose a session is, and whether it would go with what is inactive since `before`. Undefined when there is none. */
export async function sessionOwner(
  { reads }: Database,
  session: string,
  before: number | undefined,
): Promise<SessionOwner | undefined> {
  const row = reads
    .select({ pk: sessions.pk, account: accounts.id })
    .from(sessions)
    .innerJoin(accounts, eq(accounts.pk, sessions.accountPk))
    .where(eq(sessions.id, session))
    .get();
  return (
    row && { account: row.account, isLeaving: before !== undefined && isInactive(reads, row.pk, before) }
  );
}

function isInactive(db: Db, session: number, before: number): boolean {
  return (
    db
      .select({ pk: sessions.pk })
      .from(sessions)
      .where(
        and(
          eq(sessions.pk, session),
          eq(sessions.active, false),
          lt(sessions.lastActiveAt, before),
          lt(sessions.updatedAt, before),
        ),
      )
      .get() !== undefined
  );
}

function changes(db: Db, statement: SQL): number {
  db.run(statement);
  return Number(db.values<[number]>(sql`SELECT changes()`)[0]?.[0] ?? 0);
}
