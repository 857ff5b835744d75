// What is older than the operator keeps: counted for whoever asks first, and deleted in small operations, each of which looks again
// whether what it deletes is still old. A session that came back to life meanwhile keeps what it has left.
import type { Database } from "../../storage/database.ts";
import type { Db } from "../../storage/query.ts";
import { ROW_BYTES } from "./access.ts";
import { raiseEpoch, setCounts } from "./facts.ts";
import { required } from "./machines.ts";
import type { OldCutoffs, OldRows } from "./records.ts";
import type { Announce, SessionRow } from "./rows.ts";
import { readSession } from "./session-rows.ts";
import { deleteWhole } from "./sessions.ts";
import { statement } from "./statement.ts";
import { EACH_NAMESPACE } from "./work-graph.ts";

/** Rows of each table that are asked for their time: the newest, of which some may be dated by a clock that was ahead. */
const NEWEST_ROWS = 200;
/** Rows that one operation deletes: a few milliseconds. */
const SLICE = 200;

const newestOf = (table: string, time: string) =>
  `SELECT max(at) AS at FROM (SELECT ${time} AS at FROM ${table} ORDER BY rowid DESC LIMIT ${NEWEST_ROWS}) WHERE at <= $now`;
const newest = statement<{ at: number | null }>(
  `SELECT max(at) AS at FROM (${newestOf("messages", "created_at")} UNION ALL ${newestOf("sessions", "updated_at")}
     UNION ALL ${newestOf("machines", "updated_at")} UNION ALL SELECT max(active_at) FROM roost_sessions WHERE active_at <= $now
     UNION ALL SELECT max(active_at) FROM roost_machines WHERE active_at <= $now)`,
);

/**
 * Inactive, and neither heard nor changed since. The released hub's own flag counts where we stored nothing. What somebody has pinned
 * stays, and so does what has a message to deliver later.
 */
const IS_OLD = `coalesce(r.active, 0) = 0 AND coalesce(r.active_at, s.active_at, 0) < $before AND s.updated_at < $before
  AND s.pinned = 0 AND s.global_pinned = 0
  AND s.id NOT IN (SELECT session_id FROM messages WHERE scheduled_at >= $before AND invoked_at IS NULL)`;
const SESSIONS = "sessions s LEFT JOIN roost_sessions r ON r.session_id = s.id";
const isOld = statement(`SELECT 1 FROM ${SESSIONS} WHERE s.id = $id AND ${IS_OLD}`);
const counts = (columns: string, more: string) =>
  statement<{ namespace: string; count: number; bytes: number | null }>(
    `SELECT s.namespace, ${columns} FROM ${SESSIONS} WHERE ${IS_OLD} ${more} GROUP BY s.namespace ORDER BY s.namespace`,
  );
const oldSessions = counts(
  `count(*) AS count, sum(coalesce(octet_length(s.metadata), 0) + coalesce(octet_length(s.agent_state), 0) + coalesce(r.bytes, 0)) AS bytes`,
  "",
);
const oldMessages = counts(
  "sum(coalesce(r.messages, 0)) AS count, sum(coalesce(r.bytes, 0)) AS bytes",
  "AND NOT (s.updated_at < $dead AND coalesce(r.active_at, s.active_at, 0) < $dead)",
);
const oldUsage = statement<{ namespace: string; count: number; bytes: number }>(
  `SELECT s.namespace, count(*) AS count, count(*) * 128 AS bytes FROM usage_events u JOIN sessions s ON s.id = u.session_id
   WHERE u.created_at < $before GROUP BY s.namespace ORDER BY s.namespace`,
);
const expiredWork = statement<{ namespace: string; count: number; bytes: number }>(
  `WITH ${EACH_NAMESPACE} SELECT e.namespace, count(*) AS count, sum(${ROW_BYTES} + coalesce(octet_length(e.payload_json), 0)) AS bytes
   FROM each CROSS JOIN events e ON e.namespace = each.namespace WHERE e.expires_at <= $now GROUP BY e.namespace ORDER BY e.namespace`,
);
const nextOld = statement<{ id: string; namespace: string }>(
  `SELECT s.id, s.namespace FROM ${SESSIONS} WHERE s.id > $after AND ${IS_OLD}
     AND (NOT $withMessages OR EXISTS (SELECT 1 FROM messages WHERE session_id = s.id)) ORDER BY s.id LIMIT 1`,
);
const someMessages = statement<{ bytes: number }>(
  `DELETE FROM messages WHERE id IN (SELECT id FROM messages WHERE session_id = $id ORDER BY seq LIMIT $limit)
   RETURNING octet_length(content) + ${ROW_BYTES} AS bytes`,
);
const someUsage = statement(
  "DELETE FROM usage_events WHERE rowid IN (SELECT rowid FROM usage_events WHERE created_at < $before LIMIT $limit)",
);

export async function newestMoment({ reads }: Database, now: number): Promise<number | undefined> {
  return newest(reads).get({ now })?.at ?? undefined;
}

export async function countOld(
  { reads }: Database,
  { sessions, messages, usage, expired }: OldCutoffs,
): Promise<OldRows[]> {
  const rows = (
    kind: OldRows["kind"],
    found: readonly { namespace: string; count: number; bytes: number | null }[],
  ): OldRows[] =>
    found
      .filter(({ count }) => count > 0)
      .map(({ namespace, count, bytes }) => ({ kind, namespace, count, bytes: bytes ?? 0 }));
  return [
    ...(sessions === undefined ? [] : rows("sessions", oldSessions(reads).all({ before: sessions }))),
    ...(messages === undefined
      ? []
      : rows(
          "messages",
          oldMessages(reads).all({ before: messages, dead: sessions ?? Number.MIN_SAFE_INTEGER }),
        )),
    ...(usage === undefined ? [] : rows("usage events", oldUsage(reads).all({ before: usage }))),
    ...(expired === undefined ? [] : rows("expired work events", expiredWork(reads).all({ now: expired }))),
  ];
}

export async function nextInactiveSession(
  { reads }: Database,
  before: number,
  after: string,
  withMessages: boolean,
): Promise<{ readonly id: string; readonly namespace: string } | undefined> {
  return nextOld(reads).get({ before, after, withMessages }) ?? undefined;
}

export function deleteSomeMessages({ writer }: Database, id: string, before: number): Promise<number> {
  return writer.run((db) => {
    if (!stillOld(db, id, before)) return 0;
    const removed = someMessages(db).all({ id, limit: SLICE });
    if (removed.length === 0) return 0;
    const bytes = removed.reduce((sum, row) => sum + row.bytes, 0);
    setCounts(db).run({ id, messages: -removed.length, lastSeq: 0, bytes: -bytes, isVisible: false });
    raiseEpoch(db, id);
    return removed.length;
  });
}

export async function deleteInactiveSession(
  { writer }: Database,
  id: string,
  before: number,
  announce: Announce<{ readonly row: SessionRow } | undefined>,
): Promise<boolean> {
  const gone = await writer.run((db) => {
    if (!stillOld(db, id, before)) return undefined;
    const row = required(readSession(db, id));
    deleteWhole(db, id);
    return { row };
  }, announce);
  return gone !== undefined;
}

export function deleteSomeUsage({ writer }: Database, before: number): Promise<number> {
  return writer.run((db) => someUsage(db).run({ before, limit: SLICE }).changes);
}

const stillOld = (db: Db, id: string, before: number) => isOld(db).get({ id, before }) !== null;
