// Notes of a session, each with the descriptions of its files. The files themselves are not in the database.
import type { Database } from "../../storage/database.ts";
import type { Db } from "../../storage/query.ts";
import { admitGrowth, denied, ROW_BYTES } from "./access.ts";
import { decodeList } from "./json.ts";
import type { AddedScratch, ScratchEntry } from "./records.ts";
import type { Access, Announce, Json, SessionKey } from "./rows.ts";
import { statement } from "./statement.ts";

interface Stored {
  readonly entryId: string;
  readonly text: string;
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly attachments: string | null;
}

const SELECT = `SELECT entry_id AS entryId, text, created_at AS createdAt, updated_at AS updatedAt, attachments
  FROM session_scratchlist WHERE session_id = $session`;
const list = statement<Stored>(`${SELECT} ORDER BY created_at DESC, entry_id`);
const one = statement<Stored>(`${SELECT} AND entry_id = $entryId`);
const count = statement<{ n: number }>(
  "SELECT count(*) AS n FROM session_scratchlist WHERE session_id = $session",
);
const insert = statement(
  `INSERT INTO session_scratchlist (session_id, entry_id, text, created_at, updated_at, attachments)
   VALUES ($session, $entryId, $text, $createdAt, $now, $attachments)`,
);
const update = statement(
  `UPDATE session_scratchlist SET text = $text, attachments = $attachments, updated_at = $now
   WHERE session_id = $session AND entry_id = $entryId`,
);
const everyList = statement<{ attachments: string }>(
  "SELECT attachments FROM session_scratchlist WHERE attachments IS NOT NULL",
);
const remove = statement(
  "DELETE FROM session_scratchlist WHERE session_id = $session AND entry_id = $entryId",
);

const entryOf = ({ attachments, ...row }: Stored): ScratchEntry => ({
  ...row,
  attachments: decodeList(attachments),
});
/** As the released hub stores none. */
const encodeList = (list: readonly Json[]) => (list.length === 0 ? null : JSON.stringify(list));

export async function listScratch(
  { reads }: Database,
  key: SessionKey,
): Promise<Access<{ readonly entries: readonly ScratchEntry[] }>> {
  return denied(reads, "sessions", key) ?? { entries: list(reads).all({ session: key.id }).map(entryOf) };
}

/** Of all notes of everybody: what the files beside the database are there for. */
export async function listScratchAttachments({ reads }: Database): Promise<Json[]> {
  return everyList(reads)
    .all({})
    .flatMap(({ attachments }) => decodeList(attachments));
}

type Found = { readonly entry: ScratchEntry | undefined };

/** A known entry id gives the entry that is there. */
export function addScratch(
  database: Database,
  key: SessionKey,
  given: {
    readonly entryId?: string | undefined;
    readonly text: string;
    readonly attachments: readonly Json[];
    readonly createdAt?: number | undefined;
  },
  max: number,
  announce?: Announce<Access<AddedScratch>>,
): Promise<Access<AddedScratch>> {
  const { entryId = crypto.randomUUID(), text, attachments } = given;
  return database.writer.run((db): Access<AddedScratch> => {
    const refused = denied(db, "sessions", key);
    if (refused !== undefined) return refused;
    const session = key.id;
    const known = one(db).get({ session, entryId });
    if (known !== null) return { entry: entryOf(known), isNew: false };
    if ((count(db).get({ session })?.n ?? 0) >= max) return { entry: "full" };
    const files = encodeList(attachments);
    admitGrowth(db, database, "message", key.namespace, ROW_BYTES + text.length + (files?.length ?? 0));
    const now = Date.now();
    insert(db).run({ session, entryId, text, attachments: files, createdAt: given.createdAt ?? now, now });
    return { entry: required(db, session, entryId), isNew: true };
  }, announce);
}

export function changeScratch(
  database: Database,
  key: SessionKey,
  entryId: string,
  change: { readonly text?: string | undefined; readonly attachments?: readonly Json[] | undefined },
  announce?: Announce<Access<Found>>,
): Promise<Access<Found>> {
  return database.writer.run((db): Access<Found> => {
    const refused = denied(db, "sessions", key);
    if (refused !== undefined) return refused;
    const session = key.id;
    const stored = one(db).get({ session, entryId });
    if (stored === null) return { entry: undefined };
    const text = change.text ?? stored.text;
    const attachments =
      change.attachments === undefined ? stored.attachments : encodeList(change.attachments);
    const size = (of: string, files: string | null) => of.length + (files?.length ?? 0);
    const growth = size(text, attachments) - size(stored.text, stored.attachments);
    if (growth > 0) admitGrowth(db, database, "message", key.namespace, growth);
    update(db).run({ session, entryId, text, attachments, now: Date.now() });
    return { entry: required(db, session, entryId) };
  }, announce);
}

export function deleteScratch(
  { writer }: Database,
  key: SessionKey,
  entryId: string,
  announce?: Announce<Access<Found>>,
): Promise<Access<Found>> {
  return writer.run((db): Access<Found> => {
    const refused = denied(db, "sessions", key);
    if (refused !== undefined) return refused;
    const stored = one(db).get({ session: key.id, entryId });
    remove(db).run({ session: key.id, entryId });
    return { entry: stored === null ? undefined : entryOf(stored) };
  }, announce);
}

function required(db: Db, session: string, entryId: string): ScratchEntry {
  const row = one(db).get({ session, entryId });
  if (row === null) throw new Error("a note vanished inside its own operation");
  return entryOf(row);
}
