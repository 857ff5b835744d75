// Whose a row is, asked before anything else: a row of another namespace is refused and never shown (hapi-http-sse A1).
import { AccountFull, type Owner } from "../../storage/account-bounds.ts";
import type { Database } from "../../storage/database.ts";
import type { Db } from "../../storage/query.ts";
import type { Denied, SessionKey } from "./rows.ts";
import { statement } from "./statement.ts";

const owners = {
  sessions: statement<{ namespace: string }>("SELECT namespace FROM sessions WHERE id = $id"),
  machines: statement<{ namespace: string }>("SELECT namespace FROM machines WHERE id = $id"),
};

/** Undefined when the row is there and the namespace's. */
export function denied(
  db: Db,
  table: keyof typeof owners,
  { namespace, id }: SessionKey,
): Denied | undefined {
  const row = owners[table](db).get({ id });
  if (row === null) return "not-found";
  return row.namespace === namespace ? undefined : "access-denied";
}

/** What a row costs besides its contents, in itself and in indexes. */
export const ROW_BYTES = 256;

const kept = statement<{ bytes: number }>(
  `SELECT coalesce((SELECT sum(${ROW_BYTES} + coalesce(octet_length(s.metadata), 0) + coalesce(octet_length(s.agent_state), 0)
       + coalesce(octet_length(s.todos), 0) + coalesce(octet_length(s.team_state), 0) + coalesce(r.bytes, 0))
     FROM sessions s LEFT JOIN roost_sessions r ON r.session_id = s.id WHERE s.namespace = $namespace), 0)
   + coalesce((SELECT sum(${ROW_BYTES} + coalesce(octet_length(metadata), 0) + coalesce(octet_length(runner_state), 0))
     FROM machines WHERE namespace = $namespace), 0)
   + coalesce((SELECT sum(${ROW_BYTES} + octet_length(n.text) + coalesce(octet_length(n.attachments), 0)
       + CASE WHEN json_valid(n.attachments) THEN coalesce((SELECT sum(max(0, file.value ->> '$.size')) FROM json_each(n.attachments) file
           WHERE file.type = 'object' AND json_type(file.value, '$.size') = 'integer'), 0) ELSE 0 END)
     FROM session_scratchlist n JOIN sessions s ON s.id = n.session_id WHERE s.namespace = $namespace), 0) AS bytes`,
);

export const keptBytes = (db: Db, namespace: string): number => kept(db).get({ namespace })?.bytes ?? 0;

/**
 * Before a file of a note is stored, which is beside the database.
 * @returns how to give its room back when it was not stored. @throws AccountFull, StorageError "quota"
 */
export async function admitScratchFile(
  { reads, quota }: Pick<Database, "reads" | "quota">,
  namespace: string,
  bytes: number,
): Promise<() => void> {
  quota.admit("upload", bytes);
  quota.accounts.admitBytes(ownerOf(namespace), bytes, () => keptBytes(reads, namespace));
  // Until the folder is measured again.
  quota.blobBytes += bytes;
  return () => {
    quota.blobBytes -= bytes;
  };
}

/** Before a namespace grows by so much. @throws AccountFull, StorageError "quota" */
export function admitGrowth(
  db: Db,
  { quota }: Pick<Database, "quota">,
  kind: "thing" | "message",
  namespace: string,
  bytes: number,
): void {
  quota.admit(kind);
  quota.accounts.admitBytes(ownerOf(namespace), bytes, () => keptBytes(db, namespace));
}

/** Namespaces have no number of their own: a hash of the name, which two of them do not share by chance. */
const ownerOf = (namespace: string): Owner => ({
  account: namespace,
  pk: Number(Bun.hash.wyhash(namespace) & 0x1f_ffff_ffff_ffffn),
});

/** Its namespace has as many of something as it may. */
export const tooMany = (namespace: string, sentence: string) => new AccountFull(namespace, sentence);
