// Deletes an account with every row that belongs to it, in one operation. Its id stays known as removed, so that its tokens, which
// never expire, do not come back as an account that is not there.
import { and, eq, like, ne, or } from "drizzle-orm";
import type { Database } from "../../storage/database.ts";
import type { Db } from "../../storage/query.ts";
import { readAvatar } from "../wire/profile.ts";
import { findAccount } from "./accounts.ts";
import {
  accessKeys,
  accountAuthRequests,
  accounts,
  artifacts,
  feedItems,
  githubUsers,
  kvEntries,
  machines,
  messages,
  pushLedger,
  pushTokens,
  relationships,
  removedAccounts,
  serviceAccountTokens,
  sessions,
  terminalAuthRequests,
  uploadedFiles,
  usageReports,
} from "./schema.ts";

export interface Deleted {
  /** Folders of the blob store that nobody can reach any more. */
  readonly blobFolders: readonly string[];
}

/** Undefined when there is no such account; `announce` is then not called. */
export function deleteAccount(
  { writer }: Database,
  account: string,
  announce: () => void,
): Promise<Deleted | undefined> {
  return writer.run(
    (db) => {
      const row = findAccount(db, account);
      if (row === undefined) return undefined;
      const { pk } = row;
      const owned = db
        .select({ pk: sessions.pk, id: sessions.id })
        .from(sessions)
        .where(eq(sessions.accountPk, pk))
        .all();
      const folder = publicFolder(account);
      const isShared = handOver(db, pk, folder);
      for (const session of owned) db.delete(messages).where(eq(messages.sessionPk, session.pk)).run();
      for (const table of [
        usageReports,
        accessKeys,
        sessions,
        machines,
        artifacts,
        kvEntries,
        serviceAccountTokens,
        uploadedFiles,
        feedItems,
        pushLedger,
        pushTokens,
      ])
        db.delete(table).where(eq(table.accountPk, pk)).run();
      db.delete(relationships)
        .where(or(eq(relationships.fromPk, pk), eq(relationships.toPk, pk)))
        .run();
      for (const table of [terminalAuthRequests, accountAuthRequests])
        db.delete(table).where(eq(table.responseAccountPk, pk)).run();
      db.delete(accounts).where(eq(accounts.pk, pk)).run();
      if (row.githubUserId !== null) db.delete(githubUsers).where(eq(githubUsers.id, row.githubUserId)).run();
      db.insert(removedAccounts).values({ id: account, removedAt: Date.now() }).onConflictDoNothing().run();
      return { blobFolders: [...owned.map(({ id }) => `sessions/${id}`), ...(isShared ? [] : [folder])] };
    },
    (deleted) => {
      if (deleted !== undefined) announce();
    },
  );
}

/** Where the avatars of an account lie. */
export const publicFolder = (account: string) => `public/users/${account}`;

/** An avatar that another account shows goes to that account. True when there is one. */
function handOver(db: Db, pk: number, folder: string): boolean {
  const others = db
    .select({ pk: accounts.pk, avatar: accounts.avatar })
    .from(accounts)
    .where(and(ne(accounts.pk, pk), like(accounts.avatar, `%${folder}/%`)))
    .all();
  let isShared = false;
  for (const other of others) {
    const path = readAvatar(other.avatar)?.path;
    if (path === undefined || !path.startsWith(`${folder}/`)) continue;
    isShared = true;
    db.update(uploadedFiles)
      .set({ accountPk: other.pk })
      .where(and(eq(uploadedFiles.accountPk, pk), eq(uploadedFiles.path, path)))
      .run();
  }
  return isShared;
}
