// Changes of a history that are no appending: rewind, clear, fork, merge on resume, the end of a session. Each raises the epoch where
// rows go or move, so that whoever has read the history reads it again (hapi-data 4; hapi-socket 12).
import type { Database } from "../../storage/database.ts";
import type { Db } from "../../storage/query.ts";
import { denied } from "./access.ts";
import { contentIn, factsOf, raiseEpoch, recount } from "./facts.ts";
import { decode, encodeAdmitted } from "./json.ts";
import { required } from "./machines.ts";
import { readMessage } from "./message-rows.ts";
import { storeSession } from "./presence.ts";
import type {
  Access,
  Announce,
  EndedSession,
  EndSession,
  MergedSessions,
  MergeSessions,
  SessionKey,
} from "./rows.ts";
import { readSession } from "./session-rows.ts";
import { deleteWhole } from "./sessions.ts";
import { statement } from "./statement.ts";

const truncate = statement("DELETE FROM messages WHERE session_id = $session AND seq >= $seq");
const highest = statement<{ seq: number }>(
  "SELECT coalesce(max(seq), 0) AS seq FROM messages WHERE session_id = $session",
);
const shift = statement("UPDATE messages SET seq = seq + $by WHERE session_id = $session");
const forgetContent = statement("UPDATE roost_sessions SET has_content = NULL WHERE session_id = $session");

type Truncated = { readonly removed: number; readonly epoch: number };

export function truncateMessages(
  { writer }: Database,
  key: SessionKey,
  from: string | undefined,
  announce?: Announce<Access<Truncated>>,
): Promise<Access<Truncated>> {
  return writer.run((db): Access<Truncated> => {
    const refused = denied(db, "sessions", key);
    if (refused !== undefined) return refused;
    const seq = from === undefined ? 0 : readMessage(db, key.id, from)?.seq;
    const removed = seq === undefined ? 0 : truncate(db).run({ session: key.id, seq }).changes;
    if (removed > 0) countAgain(db, key.id);
    return { removed, epoch: raiseEpoch(db, key.id) };
  }, announce);
}

/** What was visible may be gone. */
function countAgain(db: Db, session: string): void {
  factsOf(db, session);
  forgetContent(db).run({ session });
  recount(db, session, contentIn(db, session) ?? undefined);
}

const copy = statement(
  `INSERT INTO messages (id, session_id, content, created_at, seq, local_id, invoked_at, scheduled_at, delivery_state)
   SELECT lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)), 2) || '-a'
       || substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6))),
     $into, content, created_at, seq, NULL, coalesce(invoked_at, created_at), NULL, 'queued'
   FROM messages WHERE session_id = $from AND seq <= $through AND (local_id IS NULL OR invoked_at IS NOT NULL)`,
);

type Copied = { readonly copied: number; readonly epoch: number };

/** What still waits in `from` is not history, and stays there. */
export function copyMessages(
  { writer }: Database,
  given: {
    readonly namespace: string;
    readonly from: string;
    readonly into: string;
    readonly through?: string | undefined;
  },
  announce?: Announce<Access<Copied>>,
): Promise<Access<Copied>> {
  const { namespace, from, into } = given;
  return writer.run((db): Access<Copied> => {
    const refused =
      denied(db, "sessions", { namespace, id: from }) ?? denied(db, "sessions", { namespace, id: into });
    if (refused !== undefined) return refused;
    const last = given.through === undefined ? undefined : readMessage(db, from, given.through)?.seq;
    if (given.through !== undefined && last === undefined) return "not-found";
    const by = required(highest(db).get({ session: from }) ?? undefined).seq;
    shift(db).run({ session: into, by });
    const copied = copy(db).run({ from, into, through: last ?? by }).changes;
    factsOf(db, into);
    recount(db, into, factsOf(db, from).hasContent ?? undefined);
    return { copied, epoch: raiseEpoch(db, into) };
  }, announce);
}

const sharedLocalIds = statement(
  `UPDATE messages SET local_id = NULL, invoked_at = coalesce(invoked_at, created_at), scheduled_at = NULL
   WHERE session_id = $from AND local_id IN (SELECT local_id FROM messages WHERE session_id = $into AND local_id IS NOT NULL)`,
);
/** Whoever has the row of both keeps its own; what is left goes with the old session. */
const MOVED = ["messages", "session_scratchlist", "usage_events"].map((table) =>
  statement(`UPDATE OR IGNORE ${table} SET session_id = $into WHERE session_id = $from`),
);
const carried = statement(
  `UPDATE sessions SET
     metadata = $metadata,
     metadata_version = coalesce(sessions.metadata_version, 1) + $changed,
     seq = coalesce(sessions.seq, 0) + $changed,
     todos = CASE WHEN coalesce(o.todos_updated_at, 0) > coalesce(sessions.todos_updated_at, 0) THEN o.todos ELSE sessions.todos END,
     todos_updated_at = nullif(max(coalesce(o.todos_updated_at, 0), coalesce(sessions.todos_updated_at, 0)), 0),
     team_state = CASE WHEN coalesce(o.team_state_updated_at, 0) > coalesce(sessions.team_state_updated_at, 0)
       THEN o.team_state ELSE sessions.team_state END,
     team_state_updated_at = nullif(max(coalesce(o.team_state_updated_at, 0), coalesce(sessions.team_state_updated_at, 0)), 0),
     model = coalesce(sessions.model, o.model),
     model_reasoning_effort = coalesce(sessions.model_reasoning_effort, o.model_reasoning_effort),
     effort = coalesce(sessions.effort, o.effort),
     service_tier = coalesce(sessions.service_tier, o.service_tier),
     pinned = max(sessions.pinned, o.pinned),
     global_pinned = max(sessions.global_pinned, o.global_pinned)
   FROM (SELECT * FROM sessions WHERE id = $from) AS o WHERE sessions.id = $into`,
);
const metadataOf = statement<{ metadata: string | null }>("SELECT metadata FROM sessions WHERE id = $id");

export function mergeSessions(
  { writer, sizes }: Database,
  { namespace, from, into, metadata }: MergeSessions,
  announce?: Announce<Access<MergedSessions>>,
): Promise<Access<MergedSessions>> {
  return writer.run((db): Access<MergedSessions> => {
    const refused =
      denied(db, "sessions", { namespace, id: from }) ?? denied(db, "sessions", { namespace, id: into });
    if (refused !== undefined || from === into) return refused ?? "not-found";
    const by = Math.max(
      required(highest(db).get({ session: from }) ?? undefined).seq,
      factsOf(db, from).lastSeq,
    );
    shift(db).run({ session: into, by });
    sharedLocalIds(db).run({ from, into });
    const [movedMessages = 0] = MOVED.map((move) => move(db).run({ from, into }).changes);
    const stored = metadataOf(db).get({ id: into })?.metadata ?? null;
    const value = metadata(decode(metadataOf(db).get({ id: from })?.metadata ?? null), decode(stored));
    const text = encodeAdmitted(sizes, "metadata", value);
    carried(db).run({ from, into, metadata: text, changed: Number(text !== stored) });
    const content = [factsOf(db, from).hasContent, factsOf(db, into).hasContent];
    recount(db, into, content.includes(1) ? 1 : undefined);
    deleteWhole(db, from);
    const epoch = raiseEpoch(db, into);
    return { row: required(readSession(db, into)), movedMessages, epoch };
  }, announce);
}

const ended = statement("UPDATE sessions SET active = 0, active_at = $at WHERE id = $id");
const sweep = statement<{ localId: string; invokedAt: number }>(
  `UPDATE messages SET invoked_at = max($now, created_at)
   WHERE session_id = $session AND invoked_at IS NULL AND local_id IS NOT NULL AND scheduled_at IS NULL
     AND delivery_state = 'queued' RETURNING local_id AS localId, invoked_at AS invokedAt`,
);
const touch = statement("UPDATE sessions SET updated_at = $at WHERE id = $id AND updated_at < $at");

export function endSession(
  { writer }: Database,
  { key, at, sweeps, presence }: EndSession,
  announce?: Announce<Access<EndedSession>>,
): Promise<Access<EndedSession>> {
  return writer.run((db): Access<EndedSession> => {
    const refused = denied(db, "sessions", key);
    if (refused !== undefined) return refused;
    ended(db).run({ id: key.id, at });
    storeSession(db, key.id, presence);
    const now = Date.now();
    const swept = sweeps ? sweep(db).all({ session: key.id, now }) : [];
    const invokedAt = Math.max(now, ...swept.map((row) => row.invokedAt));
    const moved = swept.length > 0 && touch(db).run({ id: key.id, at: invokedAt }).changes > 0;
    return {
      row: required(readSession(db, key.id)),
      sweptLocalIds: swept.map(({ localId }) => localId),
      invokedAt,
      updatedAt: moved ? invokedAt : undefined,
    };
  }, announce);
}
