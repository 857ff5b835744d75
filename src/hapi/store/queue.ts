// Messages that wait for their CLI: told, taken, parked, cancelled, told again, scheduled (hapi-socket 18.2). Whatever was taken is taken
// for good: `invoked_at` is written once.
import type { Database } from "../../storage/database.ts";
import type { Db } from "../../storage/query.ts";
import { denied, ROW_BYTES } from "./access.ts";
import { isConversation } from "./conversation.ts";
import { contentIn, raiseEpoch, recount, setCounts } from "./facts.ts";
import { required } from "./machines.ts";
import {
  MESSAGE,
  messageOf,
  RECEIPT,
  readMessage,
  receiptOf,
  type StoredMessage,
  type StoredReceipt,
} from "./message-rows.ts";
import type {
  Access,
  Announce,
  CancelledMessage,
  ConsumedMessages,
  DeliveryState,
  LocalIds,
  MessageRow,
  QueuedState,
  RequeuedMessage,
  SessionKey,
  WaitingMessage,
} from "./rows.ts";
import { readSession } from "./session-rows.ts";
import { statement } from "./statement.ts";

const state = statement<StoredReceipt>(
  `SELECT ${RECEIPT} FROM messages WHERE session_id = $session AND local_id = $localId`,
);
const consume = statement<StoredReceipt>(
  `UPDATE messages SET invoked_at = max($now, created_at), delivery_state = 'queued'
   WHERE session_id = $session AND local_id = $localId AND invoked_at IS NULL RETURNING ${RECEIPT}`,
);
const park = statement<{ id: string }>(
  `UPDATE messages SET delivery_state = $state
   WHERE session_id = $session AND local_id = $localId AND invoked_at IS NULL AND delivery_state <> $state RETURNING id`,
);
const requeue = statement("UPDATE messages SET delivery_state = 'queued' WHERE id = $id");
const bytesOf = statement<{ bytes: number }>(
  "SELECT octet_length(content) AS bytes FROM messages WHERE id = $id",
);
const remove = statement("DELETE FROM messages WHERE id = $id");
const touch = statement("UPDATE sessions SET updated_at = $at WHERE id = $id AND updated_at < $at");

/** Exported for the test of their plans. */
export const QUEUES = {
  due: `SELECT s.namespace AS namespace, m.id AS id FROM messages m INDEXED BY idx_messages_scheduled_pending
    JOIN sessions s ON s.id = m.session_id
    WHERE m.scheduled_at IS NOT NULL AND m.invoked_at IS NULL AND m.scheduled_at <= $now AND m.delivery_state = 'queued'
      AND ($among IS NULL OR m.session_id IN (SELECT value FROM json_each($among)))
    ORDER BY m.scheduled_at LIMIT $limit`,
  next: `SELECT min(scheduled_at) AS at FROM messages INDEXED BY idx_messages_scheduled_pending
    WHERE scheduled_at IS NOT NULL AND invoked_at IS NULL AND scheduled_at > $now`,
  replay: `SELECT ${MESSAGE} FROM messages INDEXED BY idx_messages_immediate_queued WHERE session_id = $session AND invoked_at IS NULL AND local_id IS NOT NULL
    AND scheduled_at IS NULL AND delivery_state = 'queued' ORDER BY seq LIMIT $limit`,
} as const;
const due = statement<{ namespace: string; id: string }>(QUEUES.due);
const next = statement<{ at: number | null }>(QUEUES.next);
const replay = statement<StoredMessage>(QUEUES.replay);
const anyById = statement<StoredMessage>(`SELECT ${MESSAGE} FROM messages WHERE id = $id`);

/** What one reconnect is told at most. */
const REPLAYED = 1_000;

export async function queuedState(
  { reads }: Database,
  { session, localIds }: LocalIds,
): Promise<Access<QueuedState>> {
  const refused = denied(reads, "sessions", session);
  if (refused !== undefined) return refused;
  const rows = [...new Set(localIds)].flatMap((localId) => {
    const row = state(reads).get({ session: session.id, localId });
    return row === null ? [] : [{ ...receiptOf(row), localId }];
  });
  return {
    queuedLocalIds: rows
      .filter(({ invokedAt, deliveryState }) => invokedAt === null && deliveryState === "queued")
      .map(({ localId }) => localId),
    indeterminateLocalIds: rows
      .filter(({ invokedAt, deliveryState }) => invokedAt === null && deliveryState !== "queued")
      .map(({ localId }) => localId),
    invokedLocalMessages: rows.flatMap(({ localId, invokedAt }) =>
      invokedAt === null ? [] : [{ localId, invokedAt }],
    ),
  };
}

export function consumeMessages(
  { writer }: Database,
  { session, localIds, touches = false }: LocalIds & { readonly touches?: boolean },
  announce?: Announce<Access<ConsumedMessages>>,
  sender?: object,
): Promise<Access<ConsumedMessages>> {
  return writer.run(
    (db): Access<ConsumedMessages> => {
      const refused = denied(db, "sessions", session);
      if (refused !== undefined) return refused;
      const now = Date.now();
      const changed = [...new Set(localIds)].flatMap((localId) => {
        const row = consume(db).get({ session: session.id, localId, now });
        return row === null ? [] : [receiptOf(row)];
      });
      const invokedAt = Math.max(now, ...changed.map((row) => row.invokedAt ?? 0));
      const moves = touches && changed.length > 0;
      const moved = moves && touch(db).run({ id: session.id, at: invokedAt }).changes > 0;
      return { invokedAt, changed, updatedAt: moved ? invokedAt : undefined };
    },
    announce,
    { sender },
  );
}

type States = { readonly changed: readonly string[]; readonly unknown: readonly string[] };

export function setDeliveryState(
  { writer }: Database,
  { session, localIds, state: wanted }: LocalIds & { readonly state: DeliveryState },
  announce?: Announce<Access<States>>,
  sender?: object,
): Promise<Access<States>> {
  return writer.run(
    (db): Access<States> => {
      const refused = denied(db, "sessions", session);
      if (refused !== undefined) return refused;
      const unique = [...new Set(localIds)];
      const at = (localId: string) => ({ session: session.id, localId });
      const unknown = unique.filter((localId) => state(db).get(at(localId)) === null);
      const changed = unique.filter((localId) => park(db).all({ ...at(localId), state: wanted }).length > 0);
      return { changed, unknown };
    },
    announce,
    { sender },
  );
}

export function cancelMessage(
  { writer }: Database,
  key: SessionKey,
  idOrLocalId: string,
  announce?: Announce<Access<CancelledMessage>>,
): Promise<Access<CancelledMessage>> {
  return writer.run((db): Access<CancelledMessage> => {
    const refused = denied(db, "sessions", key);
    if (refused !== undefined) return refused;
    const message = readMessage(db, key.id, idOrLocalId);
    if (message === undefined) return { status: "cancelled", message: undefined };
    if (message.invokedAt !== null) return { status: "invoked", message };
    const lostContent = removeOne(db, message);
    const { content: _, ...receipt } = message;
    const session = lostContent ? readSession(db, key.id) : undefined;
    return { status: "cancelled", message: receipt, session };
  }, announce);
}

/** @returns whether the session has nothing to see any more. */
function removeOne(db: Db, { id, sessionId, content }: MessageRow): boolean {
  const bytes = (bytesOf(db).get({ id })?.bytes ?? 0) + ROW_BYTES;
  remove(db).run({ id });
  setCounts(db).run({ id: sessionId, messages: -1, lastSeq: 0, bytes: -bytes, isVisible: false });
  raiseEpoch(db, sessionId);
  if (!isConversation(content.value)) return false;
  // Not so only in a session that is short, which is counted anew at once.
  if (contentIn(db, sessionId) !== 0) return false;
  recount(db, sessionId, 0);
  return true;
}

export function requeueMessage(
  { writer }: Database,
  key: SessionKey,
  idOrLocalId: string,
  announce?: Announce<Access<RequeuedMessage>>,
): Promise<Access<RequeuedMessage>> {
  return writer.run((db): Access<RequeuedMessage> => {
    const refused = denied(db, "sessions", key);
    if (refused !== undefined) return refused;
    const message = readMessage(db, key.id, idOrLocalId);
    if (message === undefined) return { status: "unknown" };
    if (message.invokedAt !== null) return { status: "invoked", message };
    if (message.deliveryState === "queued") return { status: "already-queued", message };
    requeue(db).run({ id: message.id });
    return { status: "requeued", message: required(readMessage(db, key.id, message.id)) };
  }, announce);
}

export async function dueMessages(
  { reads }: Database,
  now: number,
  limit: number,
  sessionIds?: readonly string[],
): Promise<WaitingMessage[]> {
  return due(reads)
    .all({ now, limit, among: sessionIds === undefined ? null : JSON.stringify(sessionIds) })
    .flatMap(({ namespace, id }) => {
      const row = anyById(reads).get({ id });
      return row === null ? [] : [{ namespace, message: messageOf(row) }];
    });
}

export async function nextDueAt({ reads }: Database, now: number): Promise<number | undefined> {
  return next(reads).get({ now })?.at ?? undefined;
}

export async function replayMessages({ reads }: Database, session: string): Promise<MessageRow[]> {
  return waitingMessages(reads, session);
}

export const waitingMessages = (db: Db, session: string): MessageRow[] =>
  replay(db).all({ session, limit: REPLAYED }).map(messageOf);
