// Who may make an account, decided in the operation that makes it, so that two keys cannot both be the first and no invite is used
// twice. An account that exists always signs in, unless it is disabled. Keys that are not admitted are remembered, bounded.
import { desc, eq, lt, sql } from "drizzle-orm";
import type { Config } from "../../config/settings.ts";
import type { Database } from "../../storage/database.ts";
import type { Db } from "../../storage/query.ts";
import { fingerprintOf } from "../admission/fingerprint.ts";
import { findOrCreateAccount } from "./accounts.ts";
import { takeInvite } from "./invites.ts";
import { accounts, waitingKeys } from "./schema.ts";

/** Waiting keys remembered; beyond, those that have not tried for the longest time are forgotten. */
const MAX_WAITING = 1_000;
const FORGET_AFTER_MS = 30 * 24 * 60 * 60_000;
/** A key that tries again and again is not written down each time. */
const NOTE_EVERY_MS = 60_000;

/** What decides about a key besides the key itself. */
export interface AdmissionRules {
  readonly registration: Config["registration"];
  /** The code in the address that the client uses. */
  readonly invite: string | undefined;
  /** What the client calls itself; a label for the person who approves. */
  readonly client: string;
}

export type Admission =
  | { readonly kind: "admitted"; readonly account: string }
  | { readonly kind: "disabled"; readonly account: string }
  | { readonly kind: "waiting" | "uninvited" | "refused"; readonly fingerprint: string }
  | { readonly kind: "closed" };

/** The account of a key (uppercase hex), made when the rules admit it. For use inside an operation. */
export function admit(db: Db, publicKey: string, rules: AdmissionRules, now: number): Admission {
  const known = db
    .select({ id: accounts.id, disabledAt: accounts.disabledAt })
    .from(accounts)
    .where(eq(accounts.publicKey, publicKey))
    .get();
  if (known !== undefined) {
    if (known.disabledAt !== null) return { kind: "disabled", account: known.id };
    return { kind: "admitted", account: findOrCreateAccount(db, publicKey).account };
  }
  const { registration, invite } = rules;
  if (registration === "closed") return { kind: "closed" };
  const isFirst = !hasAccounts(db);
  const admitted =
    registration === "open" ||
    (registration === "claim" && isFirst) ||
    (invite !== undefined && takeInvite(db, invite, now));
  if (admitted) return { kind: "admitted", account: makeAccount(db, publicKey, isFirst) };
  const { fingerprint, isRefused } = remember(db, publicKey, rules.client, now);
  return {
    kind: isRefused ? "refused" : registration === "claim" ? "waiting" : "uninvited",
    fingerprint,
  };
}

function hasAccounts(db: Db): boolean {
  return db.select({ pk: accounts.pk }).from(accounts).limit(1).get() !== undefined;
}

function makeAccount(db: Db, publicKey: string, isOwner: boolean): string {
  const { account } = findOrCreateAccount(db, publicKey);
  if (isOwner) db.update(accounts).set({ isOwner }).where(eq(accounts.id, account)).run();
  db.delete(waitingKeys).where(eq(waitingKeys.publicKey, publicKey)).run();
  return account;
}

function remember(db: Db, publicKey: string, client: string, now: number) {
  const fingerprint = fingerprintOf(publicKey);
  const known = db.select().from(waitingKeys).where(eq(waitingKeys.publicKey, publicKey)).get();
  if (known === undefined) {
    db.delete(waitingKeys)
      .where(lt(waitingKeys.lastSeenAt, now - FORGET_AFTER_MS))
      .run();
    db.insert(waitingKeys)
      .values({ publicKey, fingerprint, client, firstSeenAt: now, lastSeenAt: now })
      .run();
    db.run(sql`DELETE FROM waiting_keys WHERE public_key IN
      (SELECT public_key FROM waiting_keys ORDER BY last_seen_at DESC LIMIT -1 OFFSET ${MAX_WAITING})`);
  } else if (known.lastSeenAt < now - NOTE_EVERY_MS) {
    db.update(waitingKeys).set({ lastSeenAt: now, client }).where(eq(waitingKeys.publicKey, publicKey)).run();
  }
  return { fingerprint, isRefused: known !== undefined && known.refusedAt !== null };
}

export interface WaitingKey {
  readonly fingerprint: string;
  readonly client: string;
  readonly refusedAt: number | null;
  readonly firstSeenAt: number;
  readonly lastSeenAt: number;
}

/** Newest first. */
export function listWaiting({ reads }: Database): WaitingKey[] {
  const { fingerprint, client, refusedAt, firstSeenAt, lastSeenAt } = waitingKeys;
  return reads
    .select({ fingerprint, client, refusedAt, firstSeenAt, lastSeenAt })
    .from(waitingKeys)
    .orderBy(desc(lastSeenAt))
    .all();
}

/** Makes the account of a waiting key, which then signs in. Undefined when no key has this fingerprint, or more than one. */
export function approveKey({ writer }: Database, fingerprint: string): Promise<string | undefined> {
  return writer.run((db) => {
    const key = theOne(db, fingerprint);
    return key === undefined ? undefined : makeAccount(db, key, !hasAccounts(db));
  });
}

/** The key goes on hearing that it is refused. False when no key has this fingerprint, or more than one. */
export function refuseKey({ writer }: Database, fingerprint: string): Promise<boolean> {
  return writer.run((db) => {
    const key = theOne(db, fingerprint);
    if (key === undefined) return false;
    db.update(waitingKeys).set({ refusedAt: Date.now() }).where(eq(waitingKeys.publicKey, key)).run();
    return true;
  });
}

function theOne(db: Db, fingerprint: string): string | undefined {
  const found = db.select().from(waitingKeys).where(eq(waitingKeys.fingerprint, fingerprint)).all();
  return found.length === 1 ? found[0]?.publicKey : undefined;
}
