// Pairing requests of terminals and of further devices (HTTP contract 2.4 to 2.6, decisions). An unapproved request dies after
// 15 minutes. An approved one is delivered to every poll for 5 minutes after its first delivery, always with the same token, then it
// is consumed: a further poll makes a new request.
import { and, eq, isNull, lt, or, sql } from "drizzle-orm";
import type { Database } from "../../storage/database.ts";
import { newId } from "../../storage/ids.ts";
import type { Db } from "../../storage/query.ts";
import { accountPk } from "./accounts.ts";
import { accountAuthRequests, accounts, terminalAuthRequests } from "./schema.ts";

export type PairingKind = "terminal" | "account";

const TABLES = { terminal: terminalAuthRequests, account: accountAuthRequests } as const;

const UNAPPROVED_MS = 15 * 60_000;
const DELIVERED_MS = 5 * 60_000;
/** An approval that nobody fetched: hours, as HTTP contract 2.6 permits, because nobody waits that long and a key must not work for ever. */
const UNFETCHED_MS = 24 * 60 * 60_000;

/** Requests kept at once; far more than one address can make within their 15 minutes. Oldest unapproved ones go first. */
const MAX_REQUESTS = 100_000;

type Row = typeof accountAuthRequests.$inferSelect & { supportsV2?: boolean };

/** What a poll gets: still waiting, or the approval with what its token is made from. */
export type Poll =
  | { readonly state: "requested" }
  | {
      readonly state: "authorized";
      readonly requestId: string;
      readonly account: string;
      readonly response: string;
      readonly tokenId: string;
      readonly tokenIssuedAt: number;
    };

/** Create-or-return by key (uppercase hex). `supportsV2` counts only at creation. */
export function pollPairing(
  { writer }: Database,
  kind: PairingKind,
  publicKey: string,
  supportsV2: boolean,
): Promise<Poll> {
  const table = TABLES[kind];
  return writer.run((db): Poll => {
    const now = Date.now();
    expire(db, kind, now);
    const row = find(db, kind, publicKey);
    if (row === undefined) {
      const fresh = { id: newId(now), publicKey, createdAt: now, updatedAt: now };
      if (kind === "terminal")
        db.insert(terminalAuthRequests)
          .values({ ...fresh, supportsV2 })
          .run();
      else db.insert(accountAuthRequests).values(fresh).run();
      trim(db, kind);
      return { state: "requested" };
    }
    // An approval with an empty text counts as none.
    if (!row.response || row.responseAccountPk === null) return { state: "requested" };
    const account = db
      .select({ id: accounts.id, validFrom: accounts.tokensValidFrom })
      .from(accounts)
      // A disabled account brings no device in; the request waits until it is enabled, or dies.
      .where(and(eq(accounts.pk, row.responseAccountPk), isNull(accounts.disabledAt)))
      .get();
    if (account === undefined) return { state: "requested" };
    const tokenId = row.tokenId ?? crypto.randomUUID();
    const tokenIssuedAt = row.tokenIssuedAt ?? Math.max(Math.floor(now / 1000), account.validFrom ?? 0);
    if (row.firstDeliveredAt === null) {
      db.update(table)
        .set({ tokenId, tokenIssuedAt, firstDeliveredAt: now, updatedAt: now })
        .where(eq(table.pk, row.pk))
        .run();
    }
    return {
      state: "authorized",
      requestId: row.id,
      account: account.id,
      response: row.response,
      tokenId,
      tokenIssuedAt,
    };
  });
}

export interface PairingStatus {
  readonly status: "not_found" | "pending" | "authorized";
  readonly supportsV2: boolean;
}

/** What the approving app sees. `supportsV2` is told only while pending. */
export function pairingStatus({ reads }: Database, publicKey: string): PairingStatus {
  const row = find(reads, "terminal", publicKey);
  if (row === undefined || isDead(row, Date.now())) return { status: "not_found", supportsV2: false };
  if (row.response) return { status: "authorized", supportsV2: false };
  return { status: "pending", supportsV2: row.supportsV2 ?? false };
}

/** Stores an approval; the first one wins. False when there is no such request. @throws UnknownAccount */
export function approvePairing(
  { writer, sizes }: Database,
  kind: PairingKind,
  publicKey: string,
  account: string,
  response: string,
): Promise<boolean> {
  sizes.admit("metadata", "response", response);
  const table = TABLES[kind];
  return writer.run((db) => {
    const now = Date.now();
    expire(db, kind, now);
    const row = find(db, kind, publicKey);
    if (row === undefined) return false;
    if (!row.response) {
      const responseAccountPk = accountPk(db, account);
      db.update(table).set({ response, responseAccountPk, updatedAt: now }).where(eq(table.pk, row.pk)).run();
    }
    return true;
  });
}

function find(db: Db, kind: PairingKind, publicKey: string): Row | undefined {
  const table = TABLES[kind];
  return db.select().from(table).where(eq(table.publicKey, publicKey)).get();
}

/** Row numbers grow with time, so the bound needs no count. */
function trim(db: Db, kind: PairingKind): void {
  const table = TABLES[kind];
  db.delete(table)
    .where(and(isNull(table.response), lt(table.pk, sql`(SELECT max(pk) FROM ${table}) - ${MAX_REQUESTS}`)))
    .run();
}

/** Deletes what is dead, of every key: the tables stay as small as the pairings of the last minutes. */
function expire(db: Db, kind: PairingKind, now: number): void {
  const table = TABLES[kind];
  db.delete(table)
    .where(lt(table.firstDeliveredAt, now - DELIVERED_MS))
    .run();
  db.delete(table)
    .where(and(or(isNull(table.response), eq(table.response, "")), lt(table.createdAt, now - UNAPPROVED_MS)))
    .run();
  db.delete(table)
    .where(and(isNull(table.firstDeliveredAt), lt(table.updatedAt, now - UNFETCHED_MS)))
    .run();
}

function isDead(row: Row, now: number): boolean {
  if (row.firstDeliveredAt !== null) return row.firstDeliveredAt < now - DELIVERED_MS;
  if (row.updatedAt < now - UNFETCHED_MS) return true;
  return !row.response && row.createdAt < now - UNAPPROVED_MS;
}
