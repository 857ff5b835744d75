// The event ledger and its links. An idempotency key is one event's for ever; links go with their events.
import type { Database } from "../../storage/database.ts";
import { decode, decodeList, encode } from "./json.ts";
import type { WorkEvent, WorkLink } from "./records.ts";
import { statement } from "./statement.ts";

type Stored = Omit<WorkEvent, "payload" | "artifactRefs" | "tags" | "principal"> & {
  readonly payload: string | null;
  readonly artifactRefs: string;
  readonly tags: string;
  readonly principal: string;
};

const SELECT = `SELECT id, namespace, ts, source_kind AS sourceKind, source_ref AS sourceRef, sink_kind AS sinkKind,
  sink_ref AS sinkRef, event_type AS eventType, summary, payload_json AS payload, artifact_refs AS artifactRefs, tags,
  related_session_id AS relatedSessionId, related_event_id AS relatedEventId, provenance, idempotency_key AS idempotencyKey,
  dedupe_key AS dedupeKey, confidence, severity, expires_at AS expiresAt, principal_json AS principal FROM events`;
const FILTER = `namespace = $namespace AND ts >= $since AND ts <= $until AND (expires_at IS NULL OR expires_at > $now)
  AND ($eventType IS NULL OR event_type = $eventType)`;
const byId = statement<Stored>(`${SELECT} WHERE id = $id`);
const byIdempotency = statement<Stored>(`${SELECT} WHERE namespace = $namespace AND idempotency_key = $key`);
const list = statement<Stored>(`${SELECT} WHERE ${FILTER} ORDER BY ts DESC LIMIT $limit`);
const listRelated = statement<Stored>(
  `${SELECT} WHERE ${FILTER} AND related_session_id = $session ORDER BY ts DESC LIMIT $limit`,
);
const insert = statement(
  `INSERT INTO events (id, namespace, ts, source_kind, source_ref, sink_kind, sink_ref, event_type, summary, payload_json, artifact_refs,
     tags, related_session_id, related_event_id, provenance, idempotency_key, dedupe_key, confidence, severity, expires_at, principal_json)
   VALUES ($id, $namespace, $ts, $sourceKind, $sourceRef, $sinkKind, $sinkRef, $eventType, $summary, $payload, $artifactRefs, $tags,
     $relatedSessionId, $relatedEventId, $provenance, $idempotencyKey, $dedupeKey, $confidence, $severity, $expiresAt, $principal)`,
);
/** Namespaces of events, each found in the index behind the one before: what has expired is then found there too. */
export const EACH_NAMESPACE = `RECURSIVE each(namespace) AS (SELECT min(namespace) FROM events
  UNION ALL SELECT (SELECT min(namespace) FROM events WHERE namespace > each.namespace) FROM each WHERE each.namespace IS NOT NULL)`;
const expire = statement(
  `DELETE FROM events WHERE id IN (WITH ${EACH_NAMESPACE} SELECT e.id FROM each CROSS JOIN events e
     ON e.namespace = each.namespace WHERE e.expires_at <= $now LIMIT $limit)`,
);
const insertLink = statement(
  `INSERT INTO event_links (id, from_event_id, to_event_id, relation_type, created_at, metadata_json, namespace)
   VALUES ($id, $fromEventId, $toEventId, $relationType, $now, $metadata, $namespace)`,
);
const links = statement<Omit<WorkLink, "metadata"> & { metadata: string | null }>(
  `SELECT id, namespace, from_event_id AS fromEventId, to_event_id AS toEventId, relation_type AS relationType,
     created_at AS createdAt, metadata_json AS metadata FROM event_links
   WHERE namespace = $namespace AND (from_event_id = $event OR to_event_id = $event) ORDER BY created_at, id`,
);

const eventOf = (row: Stored): WorkEvent => ({
  ...row,
  payload: decode(row.payload),
  artifactRefs: decodeList(row.artifactRefs),
  tags: decodeList(row.tags),
  principal: decode(row.principal),
});

export function appendWorkEvent(
  { writer, quota, sizes }: Database,
  event: Omit<WorkEvent, "id"> & { readonly id?: string },
): Promise<{ readonly kind: "stored" | "known"; readonly event: WorkEvent }> {
  const { namespace, idempotencyKey } = event;
  return writer.run(
    (db) => {
      const known =
        idempotencyKey === null ? null : byIdempotency(db).get({ namespace, key: idempotencyKey });
      if (known !== null) return { kind: "known" as const, event: eventOf(known) };
      quota.admit("message");
      const payload = encode(event.payload);
      sizes.admit("metadata", "payload", payload);
      const stored: WorkEvent = { ...event, id: event.id ?? crypto.randomUUID() };
      insert(db).run({
        id: stored.id,
        namespace,
        ts: event.ts,
        sourceKind: event.sourceKind,
        sourceRef: event.sourceRef,
        sinkKind: event.sinkKind,
        sinkRef: event.sinkRef,
        eventType: event.eventType,
        summary: event.summary,
        payload,
        artifactRefs: JSON.stringify(event.artifactRefs),
        tags: JSON.stringify(event.tags),
        relatedSessionId: event.relatedSessionId,
        relatedEventId: event.relatedEventId,
        provenance: event.provenance,
        idempotencyKey,
        dedupeKey: event.dedupeKey,
        confidence: event.confidence,
        severity: event.severity,
        expiresAt: event.expiresAt,
        principal: JSON.stringify(event.principal),
      });
      return { kind: "stored" as const, event: stored };
    },
    undefined,
    { holds: event },
  );
}

export async function findWorkEvent(
  { reads }: Database,
  namespace: string,
  id: string,
): Promise<WorkEvent | undefined> {
  const row = byId(reads).get({ id });
  return row === null || row.namespace !== namespace ? undefined : eventOf(row);
}

export async function listWorkEvents(
  { reads }: Database,
  namespace: string,
  filter: {
    readonly relatedSessionId?: string | undefined;
    readonly eventType?: string | undefined;
    readonly since?: number | undefined;
    readonly until?: number | undefined;
    readonly limit: number;
  },
): Promise<WorkEvent[]> {
  const { relatedSessionId: session, eventType = null, limit } = filter;
  const { since = Number.MIN_SAFE_INTEGER, until = Number.MAX_SAFE_INTEGER } = filter;
  const values = { namespace, since, until, now: Date.now(), eventType, limit };
  const rows =
    session === undefined ? list(reads).all(values) : listRelated(reads).all({ ...values, session });
  return rows.map(eventOf);
}

export function linkWorkEvents(
  { writer, quota }: Database,
  link: Omit<WorkLink, "id" | "createdAt">,
): Promise<WorkLink | undefined> {
  const { namespace, fromEventId, toEventId, relationType } = link;
  return writer.run((db) => {
    for (const id of [fromEventId, toEventId])
      if (byId(db).get({ id })?.namespace !== namespace) return undefined;
    quota.admit("message");
    const stored: WorkLink = { ...link, id: crypto.randomUUID(), createdAt: Date.now() };
    insertLink(db).run({
      id: stored.id,
      fromEventId,
      toEventId,
      relationType,
      now: stored.createdAt,
      metadata: encode(link.metadata),
      namespace,
    });
    return stored;
  });
}

export async function listWorkLinks(
  { reads }: Database,
  namespace: string,
  event: string,
): Promise<WorkLink[]> {
  return links(reads)
    .all({ namespace, event })
    .map((row) => ({ ...row, metadata: decode(row.metadata) }));
}

/** Rows of one operation. */
const SLICE = 200;

export function deleteExpiredWorkEvents({ writer }: Database, now: number): Promise<number> {
  return writer.run((db) => expire(db).run({ now, limit: SLICE }).changes);
}
