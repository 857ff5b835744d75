// Everything that an account's profile shows, read together: its row, its GitHub profile, the vendors it has tokens of.
import { asc, eq, sql } from "drizzle-orm";
import type { Database } from "../../storage/database.ts";
import { type Db, prepared } from "../../storage/query.ts";
import type { ProfileParts } from "../wire/profile.ts";
import { type StoredSettings, storedSettings } from "./account-settings.ts";
import { UnknownAccount } from "./accounts.ts";
import { accounts, githubUsers, serviceAccountTokens } from "./schema.ts";

const profile = prepared((db) =>
  db
    .select({
      pk: accounts.pk,
      firstName: accounts.firstName,
      lastName: accounts.lastName,
      username: accounts.username,
      avatar: accounts.avatar,
      github: githubUsers.profile,
    })
    .from(accounts)
    .leftJoin(githubUsers, eq(githubUsers.id, accounts.githubUserId))
    .where(eq(accounts.id, sql.placeholder("id")))
    .prepare(),
);

const vendorsOf = prepared((db) =>
  db
    .select({ vendor: serviceAccountTokens.vendor })
    .from(serviceAccountTokens)
    .where(eq(serviceAccountTokens.accountPk, sql.placeholder("pk")))
    .orderBy(asc(serviceAccountTokens.vendor))
    .prepare(),
);

/** @throws UnknownAccount */
export async function loadProfile({ reads }: Database, id: string): Promise<ProfileParts> {
  return profileParts(reads, id);
}

/** The profile and the settings as they were at one moment. @throws UnknownAccount */
export async function loadAccount(
  { reads }: Database,
  id: string,
): Promise<{ readonly profile: ProfileParts; readonly settings: StoredSettings }> {
  return { profile: profileParts(reads, id), settings: storedSettings(reads, id) };
}

function profileParts(reads: Db, id: string): ProfileParts {
  const row = profile(reads).get({ id });
  if (row === undefined) throw new UnknownAccount();
  const { pk, ...parts } = row;
  const vendors = vendorsOf(reads)
    .all({ pk })
    .map(({ vendor }) => vendor);
  return { id, ...parts, vendors };
}
