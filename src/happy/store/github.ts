// The link between an account and a GitHub user: one to one. Connecting takes the GitHub user, its name and its avatar over from
// whoever had them, in one operation; disconnecting forgets the GitHub user and the username, and keeps names and avatar.
import { and, desc, eq, isNotNull, ne } from "drizzle-orm";
import type { Database } from "../../storage/database.ts";
import { newId } from "../../storage/ids.ts";
import type { Db } from "../../storage/query.ts";
import type { Avatar } from "../wire/profile.ts";
import { accountPk, findAccount, takeUpdateSeqs, UnknownAccount } from "./accounts.ts";
import { accounts, githubUsers, uploadedFiles } from "./schema.ts";

/** The login is the username of an account that has nothing to do with this GitHub user. */
export class UsernameTaken extends Error {
  constructor() {
    super("another account has this username");
  }
}

export interface GithubLink {
  readonly githubId: string;
  /** JSON text as GitHub gave it. */
  readonly profile: string;
  /** Access token, sealed. */
  readonly token: Uint8Array;
  readonly username: string;
  readonly firstName: string | null;
  readonly lastName: string | null;
  readonly avatar: Avatar;
}

export type Linked =
  | { readonly kind: "unchanged" }
  | {
      readonly kind: "connected";
      readonly updateSeq: number;
      /** The account that had this GitHub user before. */
      readonly displaced: { readonly account: string; readonly updateSeq: number } | undefined;
    };

const reuseKey = (url: string) => `image-url:${url}`;

/** @throws UnknownAccount, UsernameTaken; nothing is changed then. */
export function connectGithub(
  { writer }: Database,
  account: string,
  link: GithubLink,
  announce: (linked: Linked) => void,
): Promise<Linked> {
  return writer.run((db): Linked => {
    const row = findAccount(db, account);
    if (row === undefined) throw new UnknownAccount();
    const { githubId, username, firstName, lastName } = link;
    if (row.githubUserId === githubId) return { kind: "unchanged" };
    const now = Date.now();
    const displaced = displace(db, githubId, now);
    const holder = and(eq(accounts.username, username), ne(accounts.pk, row.pk));
    if (db.select({ pk: accounts.pk }).from(accounts).where(holder).get()) throw new UsernameTaken();
    const user = { profile: link.profile, token: link.token, updatedAt: now };
    db.insert(githubUsers)
      .values({ id: githubId, createdAt: now, ...user })
      .onConflictDoUpdate({ target: githubUsers.id, set: user })
      .run();
    const avatar = JSON.stringify(link.avatar);
    db.update(accounts)
      .set({ githubUserId: githubId, username, firstName, lastName, avatar, updatedAt: now })
      .where(eq(accounts.pk, row.pk))
      .run();
    // Nobody else can have linked it: the link is unique.
    if (row.githubUserId !== null) db.delete(githubUsers).where(eq(githubUsers.id, row.githubUserId)).run();
    return { kind: "connected", displaced, updateSeq: takeUpdateSeqs(db, row.pk, now) };
  }, announce);
}

/** True when it was connected. @throws UnknownAccount */
export function disconnectGithub(
  { writer }: Database,
  account: string,
  announce: (updateSeq: number) => void,
): Promise<boolean> {
  return writer
    .run(
      (db) => disconnect(db, accountPk(db, account), Date.now()),
      (seq) => {
        if (seq !== undefined) announce(seq);
      },
    )
    .then((seq) => seq !== undefined);
}

/** The GitHub user that an account is connected with; `profile` is JSON text. */
export async function connectedGithub({ reads }: Database, account: string) {
  return reads
    .select({ id: githubUsers.id, profile: githubUsers.profile })
    .from(accounts)
    .innerJoin(githubUsers, eq(githubUsers.id, accounts.githubUserId))
    .where(eq(accounts.id, account))
    .get();
}

/** An avatar that was stored from this address, for whichever account. */
export async function storedAvatar({ reads }: Database, url: string): Promise<Avatar | undefined> {
  const row = reads
    .select()
    .from(uploadedFiles)
    .where(and(eq(uploadedFiles.reuseKey, reuseKey(url)), isNotNull(uploadedFiles.thumbhash)))
    .orderBy(desc(uploadedFiles.pk))
    .get();
  if (row === undefined) return undefined;
  const { path, width, height, thumbhash } = row;
  if (width === null || height === null || thumbhash === null) return undefined;
  return { path, width, height, thumbhash };
}

/** Remembers a stored avatar by the address it came from. @throws UnknownAccount */
export function recordAvatar(
  { writer }: Database,
  account: string,
  url: string,
  avatar: Avatar,
): Promise<void> {
  return writer.run((db) => {
    const now = Date.now();
    const owner = { id: newId(now), accountPk: accountPk(db, account), createdAt: now, updatedAt: now };
    db.insert(uploadedFiles)
      .values({ ...avatar, ...owner, reuseKey: reuseKey(url) })
      .run();
  });
}

function displace(db: Db, githubId: string, now: number) {
  const owner = db
    .select({ pk: accounts.pk, account: accounts.id })
    .from(accounts)
    .where(eq(accounts.githubUserId, githubId))
    .get();
  if (owner === undefined) return undefined;
  const updateSeq = disconnect(db, owner.pk, now);
  return updateSeq === undefined ? undefined : { account: owner.account, updateSeq };
}

/** The update number of its announcement; undefined when there is nothing to disconnect. */
function disconnect(db: Db, pk: number, now: number): number | undefined {
  const row = db
    .select({ githubUserId: accounts.githubUserId })
    .from(accounts)
    .where(eq(accounts.pk, pk))
    .get();
  const githubId = row?.githubUserId ?? null;
  if (githubId === null) return undefined;
  db.update(accounts)
    .set({ githubUserId: null, username: null, updatedAt: now })
    .where(eq(accounts.pk, pk))
    .run();
  db.delete(githubUsers).where(eq(githubUsers.id, githubId)).run();
  return takeUpdateSeqs(db, pk, now);
}
