// What was decided about notifications, and what people were told of: in tables of our own, of sessions that are there. Bounded by age
// and by count.
import type { Database } from "../../storage/database.ts";
import { decode } from "./json.ts";
import type { KeptPush, PushedTo, RecordedPush } from "./rows.ts";
import { statement } from "./statement.ts";

const insert = statement(
  `INSERT INTO roost_pushes (namespace, session_id, channel, kind, event_key, outcome, reason, devices, delivered, duration_ms, at)
   SELECT $namespace, id, $channel, $kind, $eventKey, $outcome, $reason, $devices, $delivered, $durationMs, $now
   FROM sessions WHERE id = $sessionId AND namespace = $namespace`,
);
/** The registration that was asked, and none that came after it: a browser that subscribes again has new keys or a new time. */
const removeDead = statement(
  `DELETE FROM push_subscriptions WHERE id = $id AND endpoint = $endpoint AND p256dh = $p256dh AND auth = $auth
     AND created_at = $createdAt`,
);
const newest = statement<KeptPush>(
  `SELECT outcome, reason, devices, delivered FROM roost_pushes
   WHERE namespace = $namespace AND event_key = $eventKey AND at BETWEEN $from AND $to ORDER BY at DESC, id DESC LIMIT 1`,
);
const trimOld = statement("DELETE FROM roost_pushes WHERE at < $before");
const trimMany = statement("DELETE FROM roost_pushes WHERE id <= (SELECT max(id) FROM roost_pushes) - $max");
const KEPT_MS = 30 * 24 * 3_600_000;
const MAX_KEPT = 20_000;
const MAX_REASON = 500;

/** Nothing is kept of a session that is gone; what is dead goes all the same. */
export function recordPush(
  { writer }: Database,
  push: RecordedPush,
  dead: readonly PushedTo[],
): Promise<void> {
  const { reason, ...given } = push;
  return writer.run((db) => {
    insert(db).run({ ...given, reason: reason?.slice(0, MAX_REASON) ?? null, now: Date.now() });
    for (const { id, endpoint, p256dh, auth, createdAt } of dead)
      removeDead(db).run({ id, endpoint, p256dh, auth, createdAt });
  });
}

export async function findKeptPush(
  { reads }: Database,
  namespace: string,
  eventKey: string,
  now: number,
  withinMs: number,
): Promise<KeptPush | undefined> {
  return newest(reads).get({ namespace, eventKey, from: now - withinMs, to: now + withinMs }) ?? undefined;
}

export function forgetOldPushes({ writer }: Database, now: number): Promise<void> {
  return writer.run((db) => {
    trimOld(db).run({ before: now - KEPT_MS });
    trimMany(db).run({ max: MAX_KEPT });
  });
}

const putTold = statement(
  `INSERT INTO roost_told (session_id, request_ids) SELECT id, $ids FROM sessions WHERE id = $id
   ON CONFLICT (session_id) DO UPDATE SET request_ids = $ids`,
);
const removeTold = statement("DELETE FROM roost_told WHERE session_id = $id");
const told = statement<{ ids: string }>("SELECT request_ids AS ids FROM roost_told WHERE session_id = $id");

export function setTold({ writer }: Database, sessionId: string, ids: readonly string[]): Promise<void> {
  return writer.run((db) => {
    if (ids.length === 0) removeTold(db).run({ id: sessionId });
    else putTold(db).run({ id: sessionId, ids: JSON.stringify(ids) });
  });
}

export async function findTold({ reads }: Database, sessionId: string): Promise<readonly string[]> {
  const row = told(reads).get({ id: sessionId });
  const ids = row === null ? undefined : decode(row.ids);
  return Array.isArray(ids) ? ids.filter((id) => typeof id === "string") : [];
}
