// Accounts as others see them: found by id or username, searched by prefix, listed as friends, each with the asking account's side
// of the relationship.
import { and, asc, desc, eq, inArray, isNotNull, type SQL, sql } from "drizzle-orm";
import type { Database } from "../../storage/database.ts";
import { weightOf } from "../../storage/large-rows.ts";
import type { Db } from "../../storage/query.ts";
import { type Listed, listedByKey, NOTHING } from "../../storage/weighed-list.ts";
import type { UserParts } from "../wire/user-profile.ts";
import { findAccountPk } from "./accounts.ts";
import { accounts, githubUsers, relationships } from "./schema.ts";

const SEARCH_LIMIT = 10;
/** No account has this key: a caller without an account is nobody's friend. */
const NOBODY = -1;
/** Sorts after every character of a username. */
const LAST_CHARACTER = "\u{10ffff}";

function select(db: Db, viewerPk: number) {
  return db
    .select({
      id: accounts.id,
      firstName: accounts.firstName,
      lastName: accounts.lastName,
      username: accounts.username,
      avatar: accounts.avatar,
      github: githubUsers.profile,
      status: relationships.status,
    })
    .from(accounts)
    .leftJoin(githubUsers, eq(githubUsers.id, accounts.githubUserId))
    .leftJoin(relationships, and(eq(relationships.fromPk, viewerPk), eq(relationships.toPk, accounts.pk)));
}

type Selected = ReturnType<ReturnType<typeof select>["all"]>[number];

const user = (row: Selected): UserParts => ({ ...row, status: row.status ?? "none" });

/** One user as `viewerPk` sees it. */
export function userByPk(db: Db, viewerPk: number, pk: number): UserParts | undefined {
  const row = select(db, viewerPk).where(eq(accounts.pk, pk)).get();
  return row && user(row);
}

/** By account id first, then by exact username without regard to case (HTTP contract 17). */
export async function findUser(
  { reads }: Database,
  viewer: string,
  idOrUsername: string,
): Promise<UserParts | undefined> {
  const viewerPk = findAccountPk(reads, viewer) ?? NOBODY;
  const row =
    select(reads, viewerPk).where(eq(accounts.id, idOrUsername)).get() ??
    select(reads, viewerPk)
      .where(and(isNotNull(accounts.username), sql`${accounts.username} = ${idOrUsername} COLLATE NOCASE`))
      .orderBy(desc(eq(accounts.username, idOrUsername)), asc(accounts.username))
      .limit(1)
      .get();
  return row && user(row);
}

/** Usernames that start with `prefix`, literally and without regard to (ASCII) case; the first ten by bytes. */
export async function searchUsers({ reads }: Database, viewer: string, prefix: string): Promise<UserParts[]> {
  const startsWith: SQL | undefined =
    prefix === ""
      ? undefined
      : sql`${accounts.username} COLLATE NOCASE BETWEEN ${prefix} AND ${prefix + LAST_CHARACTER}`;
  return select(reads, findAccountPk(reads, viewer) ?? NOBODY)
    .where(and(isNotNull(accounts.username), startsWith))
    .orderBy(asc(accounts.username))
    .limit(SEARCH_LIMIT)
    .all()
    .map(user);
}

/** Everybody whom the account's own row marks friend, pending or requested. */
export async function listFriends({ reads }: Database, account: string): Promise<Listed<UserParts>> {
  const pk = findAccountPk(reads, account);
  if (pk === undefined) return NOTHING;
  const found = reads
    .select({ pk: relationships.toPk, bytes: weightOf(githubUsers.profile) })
    .from(relationships)
    .innerJoin(accounts, eq(accounts.pk, relationships.toPk))
    .leftJoin(githubUsers, eq(githubUsers.id, accounts.githubUserId))
    .where(
      and(eq(relationships.fromPk, pk), inArray(relationships.status, ["friend", "pending", "requested"])),
    )
    .all();
  return listedByKey(found, (friend) => userByPk(reads, pk, friend.pk));
}
