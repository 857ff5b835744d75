// What a person sees of every account: how much it keeps here, and when it was last seen. Sizes are read session by session, so that
// nobody waits long behind them.
import { asc, eq, sql } from "drizzle-orm";
import type { Database } from "../../storage/database.ts";
import { accounts, machines, pushTokens, seenTokens, sessions } from "./schema.ts";

export interface AccountRow {
  readonly id: string;
  readonly publicKey: string;
  readonly username: string | null;
  readonly isOwner: boolean;
  readonly disabledAt: number | null;
  readonly createdAt: number;
  /** Machines with agents. */
  readonly machines: number;
  /** Phones that take notifications. */
  readonly phones: number;
  readonly sessions: number;
  readonly lastSeenAt: number;
}

/** Oldest first. */
export async function listAccountRows({ reads }: Database): Promise<AccountRow[]> {
  const of = sql`WHERE account_pk = ${accounts.pk}`;
  return reads
    .select({
      id: accounts.id,
      publicKey: accounts.publicKey,
      username: accounts.username,
      isOwner: accounts.isOwner,
      disabledAt: accounts.disabledAt,
      createdAt: accounts.createdAt,
      machines: sql<number>`(SELECT count(*) FROM ${machines} ${of})`,
      phones: sql<number>`(SELECT count(*) FROM ${pushTokens} ${of})`,
      sessions: sql<number>`(SELECT count(*) FROM ${sessions} ${of})`,
      lastSeenAt: sql<number>`max(${accounts.updatedAt},
        coalesce((SELECT max(last_seen_at) FROM ${seenTokens} ${of}), 0),
        coalesce((SELECT max(last_active_at) FROM ${machines} ${of}), 0),
        coalesce((SELECT max(last_active_at) FROM ${sessions} ${of}), 0))`,
    })
    .from(accounts)
    .orderBy(asc(accounts.pk))
    .all();
}

/** The ids of all accounts with their keys, oldest first. */
export async function listAccountKeys({ reads }: Database): Promise<{ id: string; publicKey: string }[]> {
  return reads
    .select({ id: accounts.id, publicKey: accounts.publicKey })
    .from(accounts)
    .orderBy(asc(accounts.pk))
    .all();
}

export async function sessionIdsOf({ reads }: Database, account: string): Promise<string[]> {
  return reads
    .select({ id: sessions.id })
    .from(sessions)
    .innerJoin(accounts, eq(accounts.pk, sessions.accountPk))
    .where(eq(accounts.id, account))
    .all()
    .map(({ id }) => id);
}

/** Bytes of the contents that a session keeps in the database. */
export async function sessionBytes({ reads }: Database, session: string): Promise<number> {
  const [row] = reads.all<{ bytes: number }>(sql`
    SELECT octet_length(metadata) + coalesce(octet_length(agent_state), 0) + coalesce(
      (SELECT sum(octet_length(content)) FROM messages WHERE session_pk = sessions.pk), 0) AS bytes
    FROM sessions WHERE id = ${session}`);
  return row?.bytes ?? 0;
}

/** Bytes of the contents that an account keeps in the database beside its sessions. */
export async function ownBytes({ reads }: Database, account: string): Promise<number> {
  const [row] = reads.all<{ bytes: number }>(sql`
    SELECT coalesce(octet_length(settings), 0)
      + coalesce((SELECT sum(octet_length(header) + octet_length(body)) FROM artifacts WHERE account_pk = a.pk), 0)
      + coalesce((SELECT sum(octet_length(value)) FROM kv_entries WHERE account_pk = a.pk), 0)
      + coalesce((SELECT sum(octet_length(metadata) + coalesce(octet_length(daemon_state), 0))
          FROM machines WHERE account_pk = a.pk), 0)
      + coalesce((SELECT sum(octet_length(data)) FROM usage_reports WHERE account_pk = a.pk), 0)
      + coalesce((SELECT sum(octet_length(data)) FROM access_keys WHERE account_pk = a.pk), 0)
      + coalesce((SELECT sum(octet_length(body)) FROM feed_items WHERE account_pk = a.pk), 0) AS bytes
    FROM accounts a WHERE id = ${account}`);
  return row?.bytes ?? 0;
}
