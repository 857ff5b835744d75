// What the files of a session are in number and bytes, so that they count for its account. The files themselves are in the blob store.
import { eq, sql } from "drizzle-orm";
import type { Database } from "../../storage/database.ts";
import type { Db } from "../../storage/query.ts";
import { admitGrowth, ROW_BYTES } from "./account-sizes.ts";
import { findAccountPk } from "./accounts.ts";
import { attachmentSizes, sessions } from "./schema.ts";
import { findOwnedSession } from "./sessions.ts";

/** Before a client is told where to send bytes: whether the server and the account have room. @throws StorageError "quota", AccountFull */
export async function admitUpload(database: Database, account: string, bytes: number): Promise<void> {
  database.quota.admit("upload", bytes);
  await admitAttachment(database, account, bytes);
}

/** Before bytes of an attachment are taken. @throws AccountFull */
export async function admitAttachment(
  { reads, quota }: Database,
  account: string,
  bytes: number,
): Promise<void> {
  const pk = findAccountPk(reads, account);
  if (pk !== undefined) admitGrowth(reads, quota, { account, pk }, bytes + ROW_BYTES);
}

/** Files of a session came or went: `files` and `bytes` are what changed. Nothing happens when the session is gone. */
export function countAttachments(
  { writer }: Database,
  account: string,
  session: string,
  files: number,
  bytes: number,
): Promise<void> {
  return writer.run((db) => {
    const keys = findOwnedSession(db, account, session);
    if (keys !== undefined) add(db, keys, files, bytes);
  });
}

/** What a session's files are, as they lie there: what was counted before is written over. Nothing happens when it is gone. */
export function recountAttachments(
  { writer }: Database,
  session: string,
  found: { readonly files: number; readonly bytes: number },
): Promise<void> {
  return writer.run((db) => {
    const keys = db
      .select({ pk: sessions.pk, accountPk: sessions.accountPk })
      .from(sessions)
      .where(eq(sessions.id, session))
      .get();
    if (keys === undefined) return;
    const [known] = db.select().from(attachmentSizes).where(eq(attachmentSizes.sessionPk, keys.pk)).all();
    add(db, keys, found.files - (known?.files ?? 0), found.bytes - (known?.bytes ?? 0));
  });
}

function add(db: Db, keys: { pk: number; accountPk: number }, files: number, bytes: number): void {
  if (files === 0 && bytes === 0) return;
  db.insert(attachmentSizes)
    .values({ sessionPk: keys.pk, accountPk: keys.accountPk, files, bytes })
    .onConflictDoUpdate({
      target: attachmentSizes.sessionPk,
      // Never below nothing, whatever was counted when.
      set: {
        files: sql`max(0, ${attachmentSizes.files} + ${files})`,
        bytes: sql`max(0, ${attachmentSizes.bytes} + ${bytes})`,
      },
    })
    .run();
}
