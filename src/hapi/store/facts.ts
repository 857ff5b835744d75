// Our own counts of each session, in roost_sessions: how many messages, how large, the highest seq ever given out, whether one has
// visible content. Kept by our writes, so that lists and keep-alives touch no message row; counted anew where they do not fit what
// another hub left.
import type { Db } from "../../storage/query.ts";
import { ROW_BYTES } from "./access.ts";
import { type Cell, StoredContent } from "./content.ts";
import { isConversation } from "./conversation.ts";
import { statement } from "./statement.ts";

export interface Facts {
  readonly messages: number;
  readonly lastSeq: number;
  readonly bytes: number;
  /** Null: not known yet. */
  readonly hasContent: number | null;
}

const byId = statement<Facts>(
  `SELECT messages, last_seq AS lastSeq, bytes, has_content AS hasContent FROM roost_sessions WHERE session_id = $id`,
);
const count = statement<{ messages: number; lastSeq: number; bytes: number }>(
  `SELECT count(*) AS messages, coalesce(max(seq), 0) AS lastSeq,
     coalesce(sum(octet_length(content) + ${ROW_BYTES}), 0) AS bytes FROM messages WHERE session_id = $id`,
);
const firstContents = statement<{ content: Cell; seq: number }>(
  "SELECT content, seq FROM messages WHERE session_id = $id AND seq > $after ORDER BY seq LIMIT $limit",
);
const put = statement(
  `INSERT INTO roost_sessions (session_id, messages, last_seq, bytes, has_content) VALUES ($id, $messages, $lastSeq, $bytes, $hasContent)
   ON CONFLICT (session_id) DO UPDATE SET messages = $messages, last_seq = max(last_seq, $lastSeq), bytes = $bytes,
     has_content = coalesce($hasContent, has_content)`,
);

/** Of a session that is there; a session that another hub made is counted now. For use inside an operation. */
export function factsOf(db: Db, id: string): Facts {
  const known = byId(db).get({ id });
  if (known !== null) return known;
  const counted = count(db).get({ id }) ?? { messages: 0, lastSeq: 0, bytes: 0 };
  const facts = { ...counted, hasContent: contentIn(db, id) };
  put(db).run({ id, ...facts });
  return facts;
}

/** How many and how large, from the counts where there are any. */
export const countMessages = (db: Db, id: string): { readonly messages: number; readonly bytes: number } =>
  byId(db).get({ id }) ?? count(db).get({ id }) ?? { messages: 0, bytes: 0 };

const SLICE = 50;

/** Whether the session has visible content: 1 or 0, or null when its first messages have none and there are more. */
export function contentIn(db: Db, id: string): number | null {
  const rows = firstContents(db).all({ id, after: 0, limit: SLICE });
  if (rows.some(isVisible)) return 1;
  return rows.length < SLICE ? 0 : null;
}

const isVisible = ({ content }: { content: Cell }) => isConversation(new StoredContent(content).value);

const fits = statement<{ id: string }>(
  `SELECT s.id FROM sessions s LEFT JOIN roost_sessions r ON r.session_id = s.id
   WHERE s.id = $id AND (r.has_content IS NULL OR (r.messages, r.last_seq) IS NOT
     (SELECT count(*), max(r.last_seq, coalesce(max(seq), 0)) FROM messages WHERE session_id = s.id))`,
);

/** Whether the counts are not what an index of the messages says. */
export const isOff = (db: Db, id: string): boolean => fits(db).get({ id }) !== null;

const isCounted = statement<{ hasContent: number | null }>(
  "SELECT has_content AS hasContent FROM roost_sessions WHERE session_id = $id",
);

/** Reads on for visible content from one slice to the next. @returns where to go on; undefined when it is known. */
export function lookForContent(db: Db, id: string, after: number): { next?: number; hasContent?: number } {
  if (isCounted(db).get({ id })?.hasContent === 1) return {};
  const rows = firstContents(db).all({ id, after, limit: SLICE });
  if (rows.some(isVisible)) return { hasContent: 1 };
  const last = rows.at(-1);
  return last === undefined || rows.length < SLICE ? { hasContent: 0 } : { next: last.seq };
}

/** Counts a session anew. */
export function recount(db: Db, id: string, hasContent: number | undefined): void {
  const counted = count(db).get({ id });
  if (counted !== null && counted !== undefined)
    put(db).run({ id, ...counted, hasContent: hasContent ?? null });
}

export const setCounts = statement(
  `UPDATE roost_sessions SET messages = messages + $messages, last_seq = max(last_seq, $lastSeq), bytes = max(0, bytes + $bytes),
     has_content = CASE WHEN $isVisible THEN 1 ELSE has_content END WHERE session_id = $id`,
);

const epoch = statement<{ epoch: number }>("SELECT epoch FROM message_epochs WHERE session_id = $id");
const nextEpoch = statement<{ epoch: number }>(
  `INSERT INTO message_epochs (session_id, epoch) VALUES ($id, 1)
   ON CONFLICT (session_id) DO UPDATE SET epoch = epoch + 1 RETURNING epoch`,
);

export const epochOf = (db: Db, id: string): number => epoch(db).get({ id })?.epoch ?? 0;

/** The history changed otherwise than by appending: who has read it must read it again (hapi-data 4). */
export const raiseEpoch = (db: Db, id: string): number => nextEpoch(db).get({ id })?.epoch ?? 0;
