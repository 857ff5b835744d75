// Push tokens, the ledger of decisions about pushes, and tickets whose receipts are still to be read. A token is deleted only when it is
// still the row that Expo spoke of: row numbers can come back, and a device may have registered again meanwhile. How long a ticket
// waits is counted in questions: a clock that is a day off neither loses receipts nor keeps tickets for ever.
import { and, asc, desc, eq, gt, gte, inArray, lt, lte, ne, or, sql } from "drizzle-orm";
import type { Verdict } from "../../push/channel.ts";
import type { Database } from "../../storage/database.ts";
import { newId } from "../../storage/ids.ts";
import type { Db } from "../../storage/query.ts";
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
/** A ticket that looks a day old is dropped only after this many questions: one hour, whatever the clock did. */
const ASKED_AT_LEAST = 12;
/** One day of questions: enough, however young the ticket looks. */
const ASKED_AT_MOST = 288;
/** Oldest are forgotten beyond this many. */
const TICKET_ROWS = 100_000;
/** Hundreds of devices can fail with hundreds of reasons. */
const REASON_CHARACTERS = 500;

/**
 * Registers a device, or touches it when it is known. A phone belongs to who signed in last: whichever account had it loses it. The
 * device that registered longest ago is forgotten beyond `atMost` (0 for no limit). Resolves with how many were.
 * @throws UnknownAccount
 */
export function registerPushToken(
  { writer }: Database,
  account: string,
  token: string,
  atMost: number,
): Promise<number> {
  return writer.run((db) => {
    const now = Date.now();
    const owner = accountPk(db, account);
    db.delete(pushTokens)
      .where(and(eq(pushTokens.token, token), ne(pushTokens.accountPk, owner)))
      .run();
    const { pk } = db
      .insert(pushTokens)
      .values({ id: newId(now), accountPk: owner, token, createdAt: now, updatedAt: now })
      .onConflictDoUpdate({ target: [pushTokens.accountPk, pushTokens.token], set: { updatedAt: now } })
      .returning({ pk: pushTokens.pk })
      .get();
    // What Expo says later about earlier pushes is not about this registration.
    db.update(pushTickets).set({ isBack: true }).where(eq(pushTickets.pushTokenPk, pk)).run();
    if (atMost === 0) return 0;
    // Never the one that has just come, whatever time the others carry.
    const oldest = db
      .select({ pk: pushTokens.pk })
      .from(pushTokens)
      .where(and(eq(pushTokens.accountPk, owner), ne(pushTokens.pk, pk)))
      .orderBy(desc(pushTokens.updatedAt), desc(pushTokens.pk))
      .all()
      .slice(atMost - 1)
      .map((row) => row.pk);
    if (oldest.length > 0) db.delete(pushTokens).where(inArray(pushTokens.pk, oldest)).run();
    return oldest.length;
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
export async function findPushTokens({ reads }: Database, account: string): Promise<PushTokenRow[]> {
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
  /** Tells the same event again. */
  readonly eventKey: string;
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
        eventKey: record.eventKey,
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
      // A device that registered again while Expo was asked is back.
      if (verdict?.ok === false && verdict.dead)
        db.delete(pushTokens)
          .where(and(sameRow, eq(pushTokens.updatedAt, row.updatedAt)))
          .run();
      if (verdict?.ok !== true || verdict.ticket === undefined) continue;
      if (db.select({ pk: pushTokens.pk }).from(pushTokens).where(sameRow).get() === undefined) continue;
      db.insert(pushTickets)
        .values({ id: verdict.ticket, pushTokenPk: row.pk, ledgerPk, createdAt: now })
        .onConflictDoNothing()
        .run();
    }
  });
}

/**
 * Tickets whose receipts may be ready at `now`, `afterMs` after their push; also those that carry a time after `now`, for the clock has
 * stepped back since and their age is not known. Oldest first, after `last`.
 */
export async function findDueTickets(
  { reads }: Database,
  now: number,
  afterMs: number,
  last: TicketRow | undefined,
  limit: number,
): Promise<TicketRow[]> {
  const { createdAt, id } = pushTickets;
  return reads
    .select()
    .from(pushTickets)
    .where(
      and(
        or(lte(createdAt, now - afterMs), gt(createdAt, now)),
        last && or(gt(createdAt, last.createdAt), and(eq(createdAt, last.createdAt), gt(id, last.id))),
      ),
    )
    .orderBy(asc(createdAt), asc(id))
    .limit(limit)
    .all();
}

/** What Expo said about the tickets it was asked for. */
export interface Settlement {
  readonly asked: readonly string[];
  readonly verdicts: ReadonlyMap<string, Verdict>;
  /** It takes them for no tickets. */
  readonly refused: readonly string[];
}

/** Settled and refused tickets go, failures amend the ledger, devices that are gone lose their token; the rest was asked once more. */
export function settleTickets({ writer }: Database, { asked, verdicts, refused }: Settlement): Promise<void> {
  return writer.run((db) => {
    const [gone, waiting] = [new Set(refused), [] as string[]];
    for (const id of asked) {
      const verdict = verdicts.get(id);
      if (verdict === undefined && !gone.has(id)) {
        waiting.push(id);
        continue;
      }
      const ticket: TicketRow | undefined = db
        .delete(pushTickets)
        .where(eq(pushTickets.id, id))
        .returning()
        .get();
      if (ticket === undefined || verdict === undefined || verdict.ok) continue;
      if (ticket.ledgerPk !== null) amend(db, ticket.ledgerPk, verdict.reason);
      if (verdict.dead && !ticket.isBack)
        db.delete(pushTokens).where(eq(pushTokens.pk, ticket.pushTokenPk)).run();
    }
    if (waiting.length > 0)
      db.update(pushTickets)
        .set({ asked: sql`${pushTickets.asked} + 1` })
        .where(inArray(pushTickets.id, waiting))
        .run();
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

/**
 * Holds the ledger and the tickets to their bounds. Ages in the ledger are held against its newest entry: when the clock has run
 * ahead, nothing is old for it.
 */
export function forgetOldPushes({ writer }: Database, now: number): Promise<void> {
  return writer.run((db) => {
    db.run(sql`DELETE FROM push_ledger WHERE created_at <
      min(${now}, (SELECT max(created_at) FROM push_ledger)) - ${LEDGER_MS}`);
    db.run(sql`DELETE FROM push_ledger WHERE pk <= (SELECT max(pk) FROM push_ledger) - ${LEDGER_ROWS}`);
    const { createdAt, asked } = pushTickets;
    const isOld = and(lt(createdAt, now - TICKET_MS), gte(asked, ASKED_AT_LEAST));
    db.delete(pushTickets)
      .where(or(isOld, gte(asked, ASKED_AT_MOST)))
      .run();
    db.run(sql`DELETE FROM push_tickets WHERE created_at <
      (SELECT created_at FROM push_tickets ORDER BY created_at DESC LIMIT 1 OFFSET ${TICKET_ROWS})`);
  });
}

/** The newest decision about the same event that was kept within `withinMs` of `now`, before or after. */
export async function findKeptPush(
  { reads }: Database,
  account: string,
  eventKey: string,
  now: number,
  withinMs: number,
): Promise<LedgerRow | undefined> {
  const owner = findAccountPk(reads, account);
  if (owner === undefined) return undefined;
  const { accountPk: ownerPk, createdAt } = pushLedger;
  return reads
    .select()
    .from(pushLedger)
    .where(
      and(
        eq(ownerPk, owner),
        gte(createdAt, now - withinMs),
        lte(createdAt, now + withinMs),
        eq(pushLedger.eventKey, eventKey),
      ),
    )
    .orderBy(desc(createdAt), desc(pushLedger.pk))
    .limit(1)
    .get();
}

export type LedgerRow = typeof pushLedger.$inferSelect;

/** The newest decisions about an account's pushes. */
export async function findPushLedger(
  { reads }: Database,
  account: string,
  limit: number,
): Promise<LedgerRow[]> {
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
