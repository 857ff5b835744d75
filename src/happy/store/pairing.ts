// Pairing requests of terminals and of further devices (HTTP contract 2.4 to 2.6, decisions). An unapproved request dies after
// 15 minutes. An approved one is delivered to every poll for 5 minutes after its first delivery, always with the same token, then it
// is consumed: a further poll makes a new request. A poll that changes nothing writes nothing, and no question reads more than its
// own row: what is over is none for every read, whenever it is cleared away. `now` is steady time (storage/steady-time.ts): see
// `settlePairings` for clocks that changed over a restart.
import { and, eq, isNull, type SQL, sql } from "drizzle-orm";
import type { Database } from "../../storage/database.ts";
import { newId } from "../../storage/ids.ts";
import { type Db, prepared } from "../../storage/query.ts";
import { accountPk } from "./accounts.ts";
import { issueUnder } from "./revocations.ts";
import { accountAuthRequests, accounts, terminalAuthRequests } from "./schema.ts";

export type PairingKind = "terminal" | "account";

export const PAIRING_KINDS = ["terminal", "account"] as const;

const TABLES = { terminal: terminalAuthRequests, account: accountAuthRequests } as const;

const UNAPPROVED_MS = 15 * 60_000;
const DELIVERED_MS = 5 * 60_000;
/** An approval that nobody fetched: hours, as HTTP contract 2.6 permits, because nobody waits that long and a key must not work for ever. */
const UNFETCHED_MS = 24 * 60 * 60_000;
/** Approvals of one account that wait or are being delivered; the oldest go first. */
const MAX_APPROVED = 1_000;
/** Rows that one operation deletes: a millisecond. */
const SLICE = 200;

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
      readonly generation: number;
    };

const REQUESTED: Poll = { state: "requested" };

export interface PairingRequest {
  readonly kind: PairingKind;
  /** Uppercase hex. */
  readonly publicKey: string;
  /** Counts only at creation. */
  readonly supportsV2: boolean;
  readonly now: number;
}

/** Create-or-return by key. `made` is asked inside the operation when the request is new, and names those that are given up for it. */
export async function pollPairing(
  { writer, reads }: Database,
  request: PairingRequest,
  made: () => Iterable<string>,
): Promise<Poll> {
  const known = standing(reads, request);
  if (known !== undefined && known !== "first delivery") return known;
  return writer.run((db): Poll => {
    const { kind, publicKey, supportsV2, now } = request;
    const again = standing(db, request);
    if (again === "first delivery") return deliver(db, request);
    if (again !== undefined) return again;
    // A dead one, or none.
    forgetOne(db, kind, publicKey);
    const row = { id: newId(), publicKey, createdAt: now, updatedAt: now };
    if (kind === "terminal") insertTerminal(db).run({ ...row, supportsV2 });
    else insertAccount(db).run(row);
    for (const other of made()) forgetWaiting(db, kind, other);
    return REQUESTED;
  });
}

/** What the poll of a living request gets without a change; undefined when there is none. */
function standing(db: Db, { kind, publicKey, now }: PairingRequest): Poll | "first delivery" | undefined {
  const row = find(db, kind, publicKey);
  if (row === undefined || isDead(row, now)) return undefined;
  if (row.response === null || row.responseAccountPk === null) return REQUESTED;
  // A disabled account brings no device in; the request waits until it is enabled, or dies.
  const account = approver(db).get({ pk: row.responseAccountPk });
  if (account === undefined) return REQUESTED;
  if (row.firstDeliveredAt === null || row.tokenId === null || row.tokenIssuedAt === null)
    return "first delivery";
  return {
    state: "authorized",
    requestId: row.id,
    account: account.id,
    response: row.response,
    tokenId: row.tokenId,
    tokenIssuedAt: row.tokenIssuedAt,
    generation: account.generation,
  };
}

/** Decides what token this request gets, once. */
function deliver(db: Db, request: PairingRequest): Poll {
  const { kind, publicKey, now } = request;
  const row = find(db, kind, publicKey);
  const account = row && approver(db).get({ pk: row.responseAccountPk });
  if (row === undefined || account === undefined) return REQUESTED;
  const tokenId = row.tokenId ?? crypto.randomUUID();
  const tokenIssuedAt = row.tokenIssuedAt ?? issueUnder(account, Date.now()).issuedAt;
  deliverOne[kind](db).run({ pk: row.pk, tokenId, tokenIssuedAt, now });
  const delivered = standing(db, request);
  return delivered === undefined || delivered === "first delivery" ? REQUESTED : delivered;
}

export interface PairingStatus {
  readonly status: "not_found" | "pending" | "authorized";
  readonly supportsV2: boolean;
}

/** What the approving app sees. `supportsV2` is told only while pending. */
export async function pairingStatus(
  { reads }: Database,
  publicKey: string,
  now: number,
): Promise<PairingStatus> {
  const row = find(reads, "terminal", publicKey);
  if (row === undefined || isDead(row, now)) return { status: "not_found", supportsV2: false };
  if (row.response !== null) return { status: "authorized", supportsV2: false };
  return { status: "pending", supportsV2: row.supportsV2 ?? false };
}

export interface Approval {
  readonly kind: PairingKind;
  readonly publicKey: string;
  /** Account id. */
  readonly account: string;
  readonly response: string;
  readonly now: number;
}

/** Stores an approval; the first one wins, and an empty text is none. False when there is no such request. @throws UnknownAccount */
export function approvePairing(
  { writer, sizes }: Database,
  { kind, publicKey, account, response, now }: Approval,
): Promise<boolean> {
  sizes.admit("metadata", "response", response);
  return writer.run((db) => {
    const row = find(db, kind, publicKey);
    if (row === undefined || isDead(row, now)) return false;
    if (row.response !== null || response === "") return true;
    const approvedBy = accountPk(db, account);
    approveOne[kind](db).run({ pk: row.pk, response, approvedBy, now });
    deleteSurplus[kind](db).run({ approvedBy });
    return true;
  });
}

/** What one look for requests that are over found. */
export interface Expired {
  /** Keys of those that nobody approved. */
  readonly waiting: readonly string[];
  /** There may be more of them. */
  readonly more: boolean;
}

/** Deletes requests that are over, a slice of each sort. Writes nothing when there are none, which reads the end of three indexes. */
export async function expirePairings(
  { writer, reads }: Database,
  kind: PairingKind,
  now: number,
): Promise<Expired> {
  const over = cutoffs(now);
  if (DEAD.every((sort) => oldest[kind][sort](reads).get(over) === undefined))
    return { waiting: [], more: false };
  return writer.run((db) => {
    const [waiting = [], ...others] = DEAD.map((sort) => deleteDead[kind][sort](db).all(over));
    return {
      waiting: waiting.map(({ publicKey }) => publicKey),
      more: [waiting, ...others].some(({ length }) => length === SLICE),
    };
  });
}

/**
 * At a start: `surplus` hears, inside the operation, the keys that wait, the one that was made first first, and names those that are
 * given up because they are too many.
 */
export function takeOverPairings(
  { writer }: Database,
  kind: PairingKind,
  surplus: (waiting: readonly string[]) => Iterable<string>,
): Promise<void> {
  const table = TABLES[kind];
  return writer.run((db) => {
    const waiting = db
      .select({ publicKey: table.publicKey })
      .from(table)
      .where(isNull(table.response))
      .orderBy(table.pk)
      .all();
    for (const key of surplus(waiting.map(({ publicKey }) => publicKey))) forgetWaiting(db, kind, key);
  });
}

/**
 * At a start: a time in the future was written by a clock that was ahead, and counts as now, so that nothing lives longer from here on
 * than it may. One that is long past was written by a clock that was behind, or really is: it is over, and the client asks anew.
 */
export function settlePairings({ writer }: Database, now: number): Promise<void> {
  return writer.run((db) => {
    for (const table of Object.values(TABLES)) {
      db.run(sql`UPDATE ${table} SET created_at = ${now} WHERE response IS NULL AND created_at > ${now}`);
      db.run(sql`UPDATE ${table} SET updated_at = ${now}
        WHERE response IS NOT NULL AND first_delivered_at IS NULL AND updated_at > ${now}`);
      db.run(sql`UPDATE ${table} SET first_delivered_at = ${now} WHERE first_delivered_at > ${now}`);
    }
  });
}

const byKey = {
  terminal: prepared((db) =>
    db
      .select()
      .from(terminalAuthRequests)
      .where(eq(terminalAuthRequests.publicKey, sql.placeholder("publicKey")))
      .prepare(),
  ),
  account: prepared((db) =>
    db
      .select()
      .from(accountAuthRequests)
      .where(eq(accountAuthRequests.publicKey, sql.placeholder("publicKey")))
      .prepare(),
  ),
};

function find(db: Db, kind: PairingKind, publicKey: string): Row | undefined {
  return byKey[kind](db).get({ publicKey });
}

const approver = prepared((db) =>
  db
    .select({
      id: accounts.id,
      generation: accounts.tokensGeneration,
      validFrom: accounts.tokensValidFrom,
    })
    .from(accounts)
    .where(and(eq(accounts.pk, sql.placeholder("pk")), isNull(accounts.disabledAt)))
    .prepare(),
);

const inserted = {
  id: sql.placeholder("id"),
  publicKey: sql.placeholder("publicKey"),
  createdAt: sql.placeholder("createdAt"),
  updatedAt: sql.placeholder("updatedAt"),
};
const insertTerminal = prepared((db) =>
  db
    .insert(terminalAuthRequests)
    .values({ ...inserted, supportsV2: sql.placeholder("supportsV2") })
    .prepare(),
);
const insertAccount = prepared((db) => db.insert(accountAuthRequests).values(inserted).prepare());

const deleteOne = prepareEach((db, table) =>
  db
    .delete(table)
    .where(eq(table.publicKey, sql.placeholder("publicKey")))
    .prepare(),
);
const deleteWaiting = prepareEach((db, table) =>
  db
    .delete(table)
    .where(and(eq(table.publicKey, sql.placeholder("publicKey")), isNull(table.response)))
    .prepare(),
);

const given = (name: string) => sql`${sql.placeholder(name)}`;
const deliverOne = prepareEach((db, table) =>
  db
    .update(table)
    .set({
      tokenId: given("tokenId"),
      tokenIssuedAt: given("tokenIssuedAt"),
      firstDeliveredAt: given("now"),
      updatedAt: given("now"),
    })
    .where(eq(table.pk, sql.placeholder("pk")))
    .prepare(),
);
const approveOne = prepareEach((db, table) =>
  db
    .update(table)
    .set({ response: given("response"), responseAccountPk: given("approvedBy"), updatedAt: given("now") })
    .where(eq(table.pk, sql.placeholder("pk")))
    .prepare(),
);
/** Approvals of one account beyond those that may wait, the oldest first. */
const deleteSurplus = prepareEach((db, table) =>
  db
    .delete(table)
    .where(
      sql`pk IN (SELECT pk FROM ${table} WHERE response_account_pk = ${sql.placeholder("approvedBy")}
        ORDER BY pk DESC LIMIT ${sql.raw(`${SLICE}`)} OFFSET ${sql.raw(`${MAX_APPROVED}`)})`,
    )
    .prepare(),
);

function forgetOne(db: Db, kind: PairingKind, publicKey: string): void {
  deleteOne[kind](db).run({ publicKey });
}

function forgetWaiting(db: Db, kind: PairingKind, publicKey: string): void {
  deleteWaiting[kind](db).run({ publicKey });
}

/** Each has a partial index of its own. */
const DEAD = ["waiting", "approved", "delivered"] as const;
const CONDITIONS: Readonly<Record<(typeof DEAD)[number], SQL>> = {
  waiting: sql`response IS NULL AND created_at < ${sql.placeholder("waiting")}`,
  approved: sql`response IS NOT NULL AND first_delivered_at IS NULL AND updated_at < ${sql.placeholder("approved")}`,
  delivered: sql`first_delivered_at IS NOT NULL AND first_delivered_at < ${sql.placeholder("delivered")}`,
};
const cutoffs = (now: number) => ({
  waiting: now - UNAPPROVED_MS,
  approved: now - UNFETCHED_MS,
  delivered: now - DELIVERED_MS,
});

const oldest = eachSort((db, table, condition) =>
  db.select({ pk: table.pk }).from(table).where(condition).limit(1).prepare(),
);
const deleteDead = eachSort((db, table, condition) =>
  db
    .delete(table)
    .where(sql`pk IN (SELECT pk FROM ${table} WHERE ${condition} LIMIT ${sql.raw(String(SLICE))})`)
    .returning({ publicKey: table.publicKey })
    .prepare(),
);

function isDead(row: Row, now: number): boolean {
  if (row.response === null) return row.createdAt < now - UNAPPROVED_MS;
  if (row.firstDeliveredAt === null) return row.updatedAt < now - UNFETCHED_MS;
  return row.firstDeliveredAt < now - DELIVERED_MS;
}

/** The tables have the columns that are used here in common; drizzle has no type for that. */
type Table = typeof accountAuthRequests;

function prepareEach<T>(build: (db: Db, table: Table) => T) {
  const of = (kind: PairingKind) => prepared((db) => build(db, TABLES[kind] as unknown as Table));
  return { terminal: of("terminal"), account: of("account") };
}

function eachSort<T>(build: (db: Db, table: Table, condition: SQL) => T) {
  const of = (kind: PairingKind) => {
    const sort = (name: (typeof DEAD)[number]) =>
      prepared((db) => build(db, TABLES[kind] as unknown as Table, CONDITIONS[name]));
    return { waiting: sort("waiting"), approved: sort("approved"), delivered: sort("delivered") };
  };
  return { terminal: of("terminal"), account: of("account") };
}
