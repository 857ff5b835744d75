// One message more: exactly once for each localId, at the next seq, with everything that it moves in its session, in one operation
// (hapi-socket 6 and 8; hapi-data 4).
import type { Database } from "../../storage/database.ts";
import type { Db } from "../../storage/query.ts";
import { admitGrowth, ROW_BYTES } from "./access.ts";
import { contentText, encodeContent, StoredContent } from "./content.ts";
import { isConversation } from "./conversation.ts";
import { factsOf, raiseEpoch, setCounts } from "./facts.ts";
import { decode } from "./json.ts";
import { AT, readByLocalId } from "./message-rows.ts";
import type { Access, Announce, AppendedMessage, MessageRow, NewMessage } from "./rows.ts";
import { readSession } from "./session-rows.ts";
import { setDated } from "./sessions.ts";
import { statement } from "./statement.ts";

/** Everything that a new message must know of its session, from indexes and single rows. */
const before = statement<{
  namespace: string;
  updatedAt: number;
  isCounted: number;
  lastSeq: number | null;
  hasContent: number | null;
  seq: number | null;
  at: number | null;
}>(
  `SELECT s.namespace, s.updated_at AS updatedAt, r.session_id IS NOT NULL AS isCounted, r.last_seq AS lastSeq,
     r.has_content AS hasContent, (SELECT max(seq) FROM messages WHERE session_id = $id) AS seq,
     (SELECT ${AT} FROM messages WHERE session_id = $id ORDER BY ${AT} DESC, seq DESC LIMIT 1) AS at
   FROM sessions s LEFT JOIN roost_sessions r ON r.session_id = s.id WHERE s.id = $id`,
);
const insert = statement(
  `INSERT INTO messages (id, session_id, content, created_at, seq, local_id, invoked_at, scheduled_at, delivery_state)
   VALUES ($id, $sessionId, $content, $createdAt, $seq, $localId, $invokedAt, $scheduledAt, 'queued')`,
);
const touch = statement("UPDATE sessions SET updated_at = $at WHERE id = $id AND updated_at < $at");
const live = statement<{ id: string; seq: number; bytes: number }>(
  `SELECT m.id, m.seq, octet_length(m.content) AS bytes FROM roost_live l JOIN messages m ON m.id = l.message_id
   WHERE l.session_id = $session AND l.live_id = $liveId AND m.session_id = $session`,
);
const setLive = statement(
  `INSERT INTO roost_live (session_id, live_id, message_id) VALUES ($session, $liveId, $message)
   ON CONFLICT (session_id, live_id) DO UPDATE SET message_id = $message`,
);
const setContent = statement("UPDATE messages SET content = $content WHERE id = $id");
const bytesOf = statement<{ bytes: number }>(
  "SELECT octet_length(content) AS bytes FROM messages WHERE id = $id",
);
const removeMessage = statement("DELETE FROM messages WHERE id = $id");

/** Live reasoning older than this many rows is history, and stays. */
const LIVE_ROWS = 50;

export function appendMessage(
  database: Database,
  message: NewMessage,
  announce?: Announce<Access<AppendedMessage>>,
  sender?: object,
): Promise<Access<AppendedMessage>> {
  const text = contentText(message.content);
  return database.writer.run((db) => append(db, database, message, text), announce, {
    holds: text,
    ...(sender !== undefined && { sender }),
  });
}

function append(db: Db, database: Database, message: NewMessage, text: string): Access<AppendedMessage> {
  const { id: sessionId, namespace } = message.session;
  const session = before(db).get({ id: sessionId });
  if (session === null) return "not-found";
  if (session.namespace !== namespace) return "access-denied";
  const known = message.localId === null ? undefined : readByLocalId(db, sessionId, message.localId);
  if (known !== undefined) {
    const isReworded = message.rewords === true && known.invokedAt === null && known.content.text !== text;
    const row = isReworded ? reworded(db, database, { known, message, text }) : known;
    return { ...NOTHING_CHANGED, kind: "known", message: row };
  }
  database.sizes.admit("content", "message", text);
  const cell = encodeContent(text);
  const bytes = ROW_BYTES + sizeOf(cell);
  admitGrowth(db, database, "message", namespace, bytes);
  const facts = session.isCounted === 1 ? session : factsOf(db, sessionId);
  const newestAt = session.at ?? 0;
  const seq = Math.max(session.seq ?? 0, facts.lastSeq ?? 0) + 1;
  const now = Date.now();
  // A clock that was set back puts nothing before what is there; only a sender's own claim does.
  const createdAt =
    message.createdAt === undefined ? Math.max(now, newestAt) : Math.min(message.createdAt, now);
  const replaced = replaceLive(db, message, seq);
  const row = {
    // Rises with time: the index of ids grows at its end, where one that is drawn by lot would touch a page of its own for each row.
    id: Bun.randomUUIDv7(),
    sessionId,
    seq,
    localId: message.localId,
    createdAt,
    invokedAt: message.localId === null || message.isTaken === true ? createdAt : null,
    scheduledAt: message.scheduledAt ?? null,
  };
  insert(db).run({ ...row, content: cell });
  if (message.reasoning?.isLive === true)
    setLive(db).run({ session: sessionId, liveId: message.reasoning.id, message: row.id });
  if (createdAt < newestAt) raiseEpoch(db, sessionId);
  const isVisible = facts.hasContent !== 1 && isConversation(message.content);
  setCounts(db).run({
    id: sessionId,
    messages: replaced === undefined ? 1 : 0,
    lastSeq: seq,
    bytes: bytes - (replaced === undefined ? 0 : replaced.bytes + ROW_BYTES),
    isVisible,
  });
  const todos =
    message.todos !== undefined &&
    setDated(db, database, "todos", sessionId, { value: message.todos, at: createdAt })
      ? { value: message.todos, at: createdAt }
      : undefined;
  const team = setTeam(db, database, message, createdAt);
  const moved =
    (message.touches === true && touch(db).run({ id: sessionId, at: createdAt }).changes > 0) ||
    ((todos !== undefined || team !== undefined) && createdAt > session.updatedAt);
  const stored: MessageRow = {
    ...row,
    deliveryState: "queued",
    content: StoredContent.of(message.content, text),
  };
  const isFirstContent = facts.hasContent === 0 && isVisible;
  return {
    kind: "stored",
    message: stored,
    replaced: replaced?.id,
    todos,
    team,
    updatedAt: moved ? createdAt : undefined,
    isFirstContent,
    session: isFirstContent ? readSession(db, sessionId) : undefined,
  };
}

const sizeOf = (cell: string | Uint8Array): number =>
  typeof cell === "string" ? Buffer.byteLength(cell) : cell.byteLength;

/** @returns the row with the new content. */
function reworded(
  db: Db,
  database: Database,
  { known, message, text }: { known: MessageRow; message: NewMessage; text: string },
): MessageRow {
  database.sizes.admit("content", "message", text);
  const cell = encodeContent(text);
  const growth = sizeOf(cell) - (bytesOf(db).get({ id: known.id })?.bytes ?? 0);
  if (growth > 0) admitGrowth(db, database, "message", message.session.namespace, growth);
  setContent(db).run({ id: known.id, content: cell });
  setCounts(db).run({ id: known.sessionId, messages: 0, lastSeq: 0, bytes: growth, isVisible: false });
  raiseEpoch(db, known.sessionId);
  return { ...known, content: StoredContent.of(message.content, text) };
}

const NOTHING_CHANGED = {
  replaced: undefined,
  todos: undefined,
  team: undefined,
  updatedAt: undefined,
  isFirstContent: false,
  session: undefined,
} as const;

const storedTeam = statement<{ team: string | null; at: number }>(
  "SELECT team_state AS team, coalesce(team_state_updated_at, 0) AS at FROM sessions WHERE id = $id",
);
/** Messages of one moment follow each other; one that is older than this is history, and what it did was undone or done since. */
const SAME_MOMENT_MS = 1_000;

function setTeam(
  db: Db,
  database: Database,
  { session: { id }, team }: NewMessage,
  createdAt: number,
): AppendedMessage["team"] {
  if (team === undefined) return undefined;
  const stored = storedTeam(db).get({ id });
  if (stored === null || createdAt < stored.at - SAME_MOMENT_MS) return undefined;
  const at = Math.max(createdAt, stored.at + 1);
  const value = team(decode(stored.team), at);
  if (value === undefined) return undefined;
  setDated(db, database, "teamState", id, { value, at });
  return { value, at };
}

/** The row that the message takes the place of is gone after this. */
function replaceLive(
  db: Db,
  { session, reasoning }: NewMessage,
  seq: number,
): { readonly id: string; readonly bytes: number } | undefined {
  if (reasoning === undefined) return undefined;
  const row = live(db).get({ session: session.id, liveId: reasoning.id });
  if (row === null || row.seq < seq - LIVE_ROWS) return undefined;
  removeMessage(db).run({ id: row.id });
  return row;
}
