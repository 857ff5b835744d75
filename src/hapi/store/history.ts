// Changes of a history that are no appending: rewind, clear, fork, merge on resume, the end of a session. Each raises the epoch where
// rows go or move, so that whoever has read the history reads it again (hapi-data 4; hapi-socket 12).
import type { Database } from "../../storage/database.ts";
import type { Db } from "../../storage/query.ts";
import { admitGrowth, denied, ROW_BYTES } from "./access.ts";
import { contentIn, epochOf, factsOf, raiseEpoch, recount, setCounts } from "./facts.ts";
import { decode, encodeAdmitted } from "./json.ts";
import { required } from "./machines.ts";
import { readMessage } from "./message-rows.ts";
import { storeSession } from "./presence.ts";
import { waitingMessages } from "./queue.ts";
import type {
  Access,
  Announce,
  Denied,
  EndedSession,
  EndSession,
  MergedSessions,
  MergeSessions,
  MessageRow,
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

/** Of one operation: more than anybody lets wait. */
const MAX_MOVED = 1_000;

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

/** Copied in one operation: so that nobody waits for all of a long history at once. */
const COPIED_ROWS = 500;
/** What still waits is not history. */
const COPIED = `FROM messages AS m WHERE session_id = $from AND seq > $after AND seq <= $to AND (local_id IS NULL OR invoked_at IS NOT NULL)`;
const copiedBytes = statement<{ bytes: number }>(
  `SELECT coalesce(sum(octet_length(content) + ${ROW_BYTES}), 0) AS bytes ${COPIED}`,
);
const copy = statement(
  `INSERT INTO messages (id, session_id, content, created_at, seq, local_id, invoked_at, scheduled_at, delivery_state)
   SELECT lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)), 2) || '-a'
       || substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6))),
     $into, content, created_at, seq,
     CASE WHEN NOT EXISTS (SELECT 1 FROM messages o WHERE o.session_id = $into AND o.local_id = m.local_id) THEN local_id END,
     coalesce(invoked_at, created_at), NULL, 'queued' ${COPIED}`,
);

type Copied = { readonly copied: number; readonly epoch: number };

export interface CopyMessages {
  readonly namespace: string;
  readonly from: string;
  readonly into: string;
  readonly before?: string | undefined;
}

/** In slices, oldest first. Whoever hears that it failed deletes `into`. */
export async function copyMessages(
  database: Database,
  given: CopyMessages,
  announce?: Announce<Access<Copied>>,
): Promise<Access<Copied>> {
  const { namespace, from, into } = given;
  const { writer } = database;
  const refusedIn = (db: Db) =>
    denied(db, "sessions", { namespace, id: from }) ?? denied(db, "sessions", { namespace, id: into });
  const range = await writer.run((db): Access<{ readonly last: number }> => {
    const refused = refusedIn(db);
    if (refused !== undefined) return refused;
    const boundary = given.before === undefined ? undefined : readMessage(db, from, given.before)?.seq;
    if (given.before !== undefined && boundary === undefined) return "not-found";
    const by = required(highest(db).get({ session: from }) ?? undefined).seq;
    factsOf(db, into);
    shift(db).run({ session: into, by });
    setCounts(db).run({ id: into, messages: 0, lastSeq: by, bytes: 0, isVisible: false });
    return { last: boundary === undefined ? by : boundary - 1 };
  });
  if (typeof range === "string") return range;
  let copied = 0;
  for (let after = 0; after < range.last; after += COPIED_ROWS) {
    const part = { from, after, to: Math.min(range.last, after + COPIED_ROWS) };
    const count = await writer.run((db): number | Denied => {
      const refused = refusedIn(db);
      if (refused !== undefined) return refused;
      admitGrowth(db, database, "message", namespace, copiedBytes(db).get(part)?.bytes ?? 0);
      return copy(db).run({ ...part, into }).changes;
    });
    if (typeof count === "string") return count;
    copied += count;
  }
  return writer.run((db): Access<Copied> => {
    const refused = refusedIn(db);
    if (refused !== undefined) return refused;
    recount(db, into, contentIn(db, into) ?? factsOf(db, from).hasContent ?? undefined);
    return { copied, epoch: raiseEpoch(db, into) };
  }, announce);
}

const waitingIn = statement<{ id: string }>(
  `SELECT id FROM messages AS m WHERE session_id = $from AND invoked_at IS NULL AND local_id IS NOT NULL
     AND NOT EXISTS (SELECT 1 FROM messages o WHERE o.session_id = $into AND o.local_id = m.local_id)
   ORDER BY seq LIMIT ${MAX_MOVED}`,
);
const hand = statement("UPDATE messages SET session_id = $into, seq = $seq WHERE id = $id");

type Moved = { readonly messages: readonly MessageRow[] };

export function moveWaitingMessages(
  { writer }: Database,
  { namespace, from, into }: { readonly namespace: string; readonly from: string; readonly into: string },
  announce?: Announce<Access<Moved>>,
): Promise<Access<Moved>> {
  return writer.run((db): Access<Moved> => {
    const refused =
      denied(db, "sessions", { namespace, id: from }) ?? denied(db, "sessions", { namespace, id: into });
    if (refused !== undefined) return refused;
    const found = waitingIn(db).all({ from, into });
    if (found.length === 0) return { messages: [] };
    let seq = Math.max(
      required(highest(db).get({ session: into }) ?? undefined).seq,
      factsOf(db, into).lastSeq,
    );
    const messages = found.map(({ id }) => {
      hand(db).run({ id, into, seq: ++seq });
      return required(readMessage(db, into, id));
    });
    for (const session of [from, into]) {
      countAgain(db, session);
      raiseEpoch(db, session);
    }
    return { messages };
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
     metadata_version = coalesce(sessions.metadata_version, 1) + $metadataChanged,
     agent_state = $agentState,
     agent_state_version = coalesce(sessions.agent_state_version, 1) + $stateChanged,
     seq = coalesce(sessions.seq, 0) + $metadataChanged + $stateChanged,
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
const valuesOf = statement<{ metadata: string | null; agentState: string | null }>(
  "SELECT metadata, agent_state AS agentState FROM sessions WHERE id = $id",
);

export function mergeSessions(
  { writer, sizes }: Database,
  { namespace, from, into, isWanted, metadata, agentState = (_, own) => own }: MergeSessions,
  announce?: Announce<Access<MergedSessions> | "unwanted">,
): Promise<Access<MergedSessions> | "unwanted"> {
  return writer.run((db): Access<MergedSessions> | "unwanted" => {
    const refused =
      denied(db, "sessions", { namespace, id: from }) ?? denied(db, "sessions", { namespace, id: into });
    if (refused !== undefined || from === into) return refused ?? "not-found";
    const old = required(valuesOf(db).get({ id: from }) ?? undefined);
    const own = required(valuesOf(db).get({ id: into }) ?? undefined);
    const [oldMetadata, ownMetadata] = [decode(old.metadata), decode(own.metadata)];
    if (isWanted?.(oldMetadata, ownMetadata) === false) return "unwanted";
    const by = Math.max(
      required(highest(db).get({ session: from }) ?? undefined).seq,
      factsOf(db, from).lastSeq,
    );
    shift(db).run({ session: into, by });
    sharedLocalIds(db).run({ from, into });
    const waiting = waitingMessages(db, from).map((message) => ({ ...message, sessionId: into }));
    const [movedMessages = 0, movedNotes = 0] = MOVED.map((move) => move(db).run({ from, into }).changes);
    const text = encodeAdmitted(sizes, "metadata", metadata(oldMetadata, ownMetadata));
    const state = encodeAdmitted(
      sizes,
      "agentState",
      agentState(decode(old.agentState), decode(own.agentState)),
    );
    carried(db).run({
      from,
      into,
      metadata: text,
      metadataChanged: Number(text !== own.metadata),
      agentState: state,
      stateChanged: Number(state !== own.agentState),
    });
    const content = [factsOf(db, from).hasContent, factsOf(db, into).hasContent];
    recount(db, into, content.includes(1) ? 1 : undefined);
    deleteWhole(db, from);
    const epoch = movedMessages > 0 ? raiseEpoch(db, into) : epochOf(db, into);
    return { row: required(readSession(db, into)), movedMessages, movedNotes, waiting, epoch };
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
