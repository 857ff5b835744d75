// Friendship: two directed rows a pair, changed together by the tables of HTTP contract 14.3 and 14.4, with the feed notices that a
// change gives rise to. A person hears of another at most once in 24 hours.
import { and, eq } from "drizzle-orm";
import type { Database } from "../../storage/database.ts";
import type { Db } from "../../storage/query.ts";
import type { RelationshipStatus, UserParts } from "../wire/user-profile.ts";
import { findAccountPk } from "./accounts.ts";
import { type Posted, post } from "./feed.ts";
import { relationships } from "./schema.ts";
import { userByPk } from "./users.ts";

const NOTICE_INTERVAL_MS = 24 * 60 * 60_000;

export interface FriendChange {
  /** The other account as the caller now sees it. */
  readonly user: UserParts;
  readonly notices: readonly Posted[];
}

interface Person {
  readonly id: string;
  readonly pk: number;
}

/** Asks for friendship or accepts it. Undefined for oneself, and when either account is missing. */
export function addFriend(
  { writer }: Database,
  account: string,
  uid: string,
  announce: (change: FriendChange | undefined) => void,
  now: number = Date.now(),
): Promise<FriendChange | undefined> {
  return writer.run((db) => {
    const pair = findPair(db, account, uid);
    if (pair === undefined || account === uid) return undefined;
    const { caller, target } = pair;
    const mine = statusOf(db, caller, target);
    const theirs = statusOf(db, target, caller);
    if (theirs === "requested") {
      setStatus(db, caller, target, "friend", now);
      setStatus(db, target, caller, "friend", now);
      const notices = [
        notice(db, target, caller, "friend_accepted", now),
        notice(db, caller, target, "friend_accepted", now),
      ];
      return changed(db, caller, target, "friend", notices);
    }
    if (mine !== "none" && mine !== "rejected") return changed(db, caller, target, mine);
    setStatus(db, caller, target, "requested", now);
    if (theirs === "none") setStatus(db, target, caller, "pending", now);
    return changed(db, caller, target, "requested", [notice(db, target, caller, "friend_request", now)]);
  }, announce);
}

/** Withdraws, ends or declines. Undefined when either account is missing; removing oneself changes nothing. */
export function removeFriend(
  { writer }: Database,
  account: string,
  uid: string,
  now: number = Date.now(),
): Promise<FriendChange | undefined> {
  return writer.run((db) => {
    const pair = findPair(db, account, uid);
    if (pair === undefined) return undefined;
    const { caller, target } = pair;
    const mine = statusOf(db, caller, target);
    switch (mine) {
      case "requested":
        setStatus(db, caller, target, "rejected", now);
        return changed(db, caller, target, "rejected");
      case "friend":
        setStatus(db, target, caller, "requested", now);
        setStatus(db, caller, target, "pending", now);
        // The original answers the other side's status here, and clients live with it.
        return changed(db, caller, target, "requested");
      case "pending":
        setStatus(db, caller, target, "none", now);
        if (statusOf(db, target, caller) !== "rejected") setStatus(db, target, caller, "none", now);
        return changed(db, caller, target, "none");
      default:
        return changed(db, caller, target, mine);
    }
  });
}

function findPair(db: Db, account: string, uid: string): { caller: Person; target: Person } | undefined {
  const caller = findAccountPk(db, account);
  const target = findAccountPk(db, uid);
  if (caller === undefined || target === undefined) return undefined;
  return { caller: { id: account, pk: caller }, target: { id: uid, pk: target } };
}

function changed(
  db: Db,
  caller: Person,
  target: Person,
  status: RelationshipStatus,
  notices: readonly (Posted | undefined)[] = [],
): FriendChange | undefined {
  const user = userByPk(db, caller.pk, target.pk);
  return user && { user: { ...user, status }, notices: notices.filter((sent) => sent !== undefined) };
}

const row = (from: Person, to: Person) =>
  and(eq(relationships.fromPk, from.pk), eq(relationships.toPk, to.pk));

function statusOf(db: Db, from: Person, to: Person): RelationshipStatus {
  const found = db.select({ status: relationships.status }).from(relationships).where(row(from, to)).get();
  return found?.status ?? "none";
}

/** When it was last notified stays; a friendship has the time it began, nothing else has. */
function setStatus(db: Db, from: Person, to: Person, status: RelationshipStatus, now: number): void {
  const change = { status, acceptedAt: status === "friend" ? now : null, updatedAt: now };
  db.insert(relationships)
    .values({ fromPk: from.pk, toPk: to.pk, createdAt: now, ...change })
    .onConflictDoUpdate({ target: [relationships.fromPk, relationships.toPk], set: change })
    .run();
}

/** Tells `receiver` about `subject` in the feed, unless it wants no news or had some within a day. */
function notice(
  db: Db,
  receiver: Person,
  subject: Person,
  kind: "friend_request" | "friend_accepted",
  now: number,
): Posted | undefined {
  const relation = db.select().from(relationships).where(row(receiver, subject)).get();
  if (relation === undefined || relation.status === "rejected") return undefined;
  if (relation.lastNotifiedAt !== null && now - relation.lastNotifiedAt <= NOTICE_INTERVAL_MS)
    return undefined;
  db.update(relationships).set({ lastNotifiedAt: now, updatedAt: now }).where(row(receiver, subject)).run();
  return post(db, receiver.pk, { kind, uid: subject.id }, `${kind}_${subject.id}`, now);
}
