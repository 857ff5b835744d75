// Push tokens, the ledger of decisions about pushes, and tickets whose receipts are still to be read. A token is deleted only when it is
// still the row that Expo spoke of: row numbers can come back, and a device may have registered again meanwhile.
import { and, asc, desc, eq, gt, lt, lte, or, sql } from "drizzle-orm";
import type { Database } from "../../storage/database.ts";
import { newId } from "../../storage/ids.ts";
import type { Db } from "../../storage/query.ts";
import type { Verdict } from "../push/expo.ts";
import { accountPk, findAccountPk } from "./accounts.ts";
import { type PUSH_OUTCOMES, pushLedger, pushTickets, pushTokens } from "./schema.ts";

export type PushTokenRow = typeof pushTokens.$inferSelect;
export type TicketRow = typeof pushTickets.$inferSelect;
export type PushOutcome = (typeof PUSH_OUTCOMES)[number];

/** Bounds of the ledger, whichever is reached first. */
export const LEDGER_ROWS = 10_000;
const LEDGER_MS = 30 * 24 * 60 * 60_000;
/** Expo keeps receipts for a day. */
const TICKET_MS = 24 * 60 * 60_000;
/** Oldest are forgotten beyond this many. */
const TICKET_ROWS = 100_000;
/** Hundreds of devices can fail with hundreds of reasons. */
const REASON_CHARACTERS = 500;

/** Registers a device, or touches it when it is known. @throws UnknownAccount */
export function registerPushToken({ writer }: Database, account: string, token: string): Promise<void> {
  return writer.run((db) => {
    const now = Date.now();
    db.insert(pushTokens)
      .values({ id: newId(now), accountPk: accountPk(db, account), token, createdAt: now, updatedAt: now })
      .onConflictDoUpdate({ target: [pushTokens.accountPk, pushTokens.token], set: { updatedAt: now } })
      .run();
  });
}

export function deletePushToken({ writer }: Database, account: string, token: string): Promise<void> {
  return writer.run((db) => {
    const owner = findAccountPk(db, account);
    if (owner === undefined) return;
    db.delete(pushTokens)
      .where(and(eq(pushTokens.accountPk, owner), eq(pushTokens.token, token)))
      .run();
  });
}

/** Newest first. */
export function findPushTokens({ reads }: Database, account: string): PushTokenRow[] {
  const owner = findAccountPk(reads, account);
  if (owner === undefined) return [];
  return reads
    .select()
    .from(pushTokens)
    .where(eq(pushTokens.accountPk, owner))
    .orderBy(desc(pushTokens.createdAt), desc(pushTokens.pk))
    .all();
}

export interface PushRecord {
  readonly account: string;
  readonly sessionId: string;
  readonly kind: string;
  readonly decision: {
    readonly outcome: PushOutcome;
    readonly reason?: string;
    readonly tokens: number;
    readonly delivered: number;
  };
  readonly durationMs: number;
  readonly devices: readonly { readonly row: PushTokenRow; readonly verdict: Verdict | undefined }[];
}

/** Keeps a decision, the tickets it earned, and deletes the tokens of devices that are gone. */
export function recordPush({ writer }: Database, record: PushRecord): Promise<void> {
  return writer.run((db) => {
    const owner = findAccountPk(db, record.account);
    if (owner === undefined) return;
    const now = Date.now();
    const { outcome, reason, tokens, delivered } = record.decision;
    const { pk: ledgerPk } = db
      .insert(pushLedger)
      .values({
        accountPk: owner,
        sessionId: record.sessionId,
        kind: record.kind,
        outcome,
        reason: reason?.slice(0, REASON_CHARACTERS) ?? null,
        tokens,
        delivered,
        durationMs: record.durationMs,
        createdAt: now,
      })
      .returning({ pk: pushLedger.pk })
      .get();
    for (const { row, verdict } of record.devices) {
      const sameRow = and(eq(pushTokens.pk, row.pk), eq(pushTokens.id, row.id));
      if (verdict?.ok === false && verdict.dead) db.delete(pushTokens).where(sameRow).run();
      if (verdict?.ok !== true || verdict.ticket === undefined) continue;
      if (db.select({ pk: pushTokens.pk }).from(pushTokens).where(sameRow).get() === undefined) continue;
      db.insert(pushTickets)
        .values({ id: verdict.ticket, pushTokenPk: row.pk, ledgerPk, createdAt: now })
        .onConflictDoNothing()
        .run();
    }
  });
}

/** Tickets of pushes sent until `sentUntil`, oldest first, after `last`. */
export function findDueTickets(
  { reads }: Database,
  sentUntil: number,
  last: TicketRow | undefined,
  limit: number,
): TicketRow[] {
  const { createdAt, id } = pushTickets;
  return reads
    .select()
    .from(pushTickets)
    .where(
      and(
        lte(createdAt, sentUntil),
        last && or(gt(createdAt, last.createdAt), and(eq(createdAt, last.createdAt), gt(id, last.id))),
      ),
    )
    .orderBy(asc(createdAt), asc(id))
    .limit(limit)
    .all();
}

/** What receipts said: settled tickets go, failures amend the ledger, devices that are gone lose their token. */
export function settleTickets({ writer }: Database, receipts: ReadonlyMap<string, Verdict>): Promise<void> {
  return writer.run((db) => {
    for (const [id, verdict] of receipts) {
      const ticket: TicketRow | undefined = db
        .delete(pushTickets)
        .where(eq(pushTickets.id, id))
        .returning()
        .get();
      if (ticket === undefined || verdict.ok) continue;
      if (ticket.ledgerPk !== null) amend(db, ticket.ledgerPk, verdict.reason);
      if (!verdict.dead) continue;
      // A device that has registered again after the push is back.
      db.delete(pushTokens)
        .where(and(eq(pushTokens.pk, ticket.pushTokenPk), lte(pushTokens.updatedAt, ticket.createdAt)))
        .run();
    }
  });
}

/** One device fewer got the push than the tickets promised. */
function amend(db: Db, ledgerPk: number, reason: string): void {
  const row = db.select().from(pushLedger).where(eq(pushLedger.pk, ledgerPk)).get();
  if (row === undefined) return;
  const delivered = Math.max(0, row.delivered - 1);
  const reasons = row.reason === null ? reason : `${row.reason}, ${reason}`;
  db.update(pushLedger)
    .set({
      delivered,
      outcome: delivered === 0 ? "failed" : "partial",
      reason: reasons.slice(0, REASON_CHARACTERS),
    })
    .where(eq(pushLedger.pk, ledgerPk))
    .run();
}

/** Holds the ledger and the tickets to their bounds. */
export function forgetOldPushes({ writer }: Database, now: number): Promise<void> {
  return writer.run((db) => {
    db.delete(pushLedger)
      .where(lt(pushLedger.createdAt, now - LEDGER_MS))
      .run();
    db.run(sql`DELETE FROM push_ledger WHERE pk <= (SELECT max(pk) FROM push_ledger) - ${LEDGER_ROWS}`);
    db.delete(pushTickets)
      .where(lt(pushTickets.createdAt, now - TICKET_MS))
      .run();
    db.run(sql`DELETE FROM push_tickets WHERE created_at <
      (SELECT created_at FROM push_tickets ORDER BY created_at DESC LIMIT 1 OFFSET ${TICKET_ROWS})`);
  });
}

export type LedgerRow = typeof pushLedger.$inferSelect;

/** The newest decisions about an account's pushes. */
export function findPushLedger({ reads }: Database, account: string, limit: number): LedgerRow[] {
  const owner = findAccountPk(reads, account);
  if (owner === undefined) return [];
  return reads
    .select()
    .from(pushLedger)
    .where(eq(pushLedger.accountPk, owner))
    .orderBy(desc(pushLedger.createdAt), desc(pushLedger.pk))
    .limit(limit)
    .all();
}
