// A session's history in pages by position, (`invokedAt` or else `createdAt`, then seq), as hapi-http-sse C3 tells it; the CLI's
// back-fill and exports by seq.
import type { Database } from "../../storage/database.ts";
import type { Db } from "../../storage/query.ts";
import type { Rows } from "../../storage/weighed-list.ts";
import { denied } from "./access.ts";
import { plainBytes } from "./content.ts";
import { countMessages, epochOf } from "./facts.ts";
import { AT, listing, messagesOf, readListings, readMessage, WEIGHED, type Weighed } from "./message-rows.ts";
import type { Access, MessagePage, MessageRow, PageQuery, Position, SessionKey } from "./rows.ts";
import { statement } from "./statement.ts";

const OF_SESSION = "FROM messages WHERE session_id = $session";
const NEWEST_FIRST = `ORDER BY ${AT} DESC, seq DESC LIMIT $limit`;

/** Exported for the test of their plans. */
export const PAGES = {
  latest: `${OF_SESSION} ${NEWEST_FIRST}`,
  before: `${OF_SESSION} AND ${AT} <= $at AND (${AT} < $at OR seq < $seq) ${NEWEST_FIRST}`,
  after: `${OF_SESSION} AND ${AT} >= $at AND ${AT} <= $untilAt AND (${AT} > $at OR seq > $seq)
    AND (${AT} < $untilAt OR seq <= $untilSeq) ORDER BY ${AT}, seq LIMIT $limit`,
  waiting: `${OF_SESSION} AND invoked_at IS NULL AND local_id IS NOT NULL ORDER BY seq DESC LIMIT $limit`,
  backfill: `${OF_SESSION} AND seq > $after AND (delivery_state = 'queued' OR invoked_at IS NOT NULL)
    AND (scheduled_at IS NULL OR scheduled_at <= $now OR invoked_at IS NOT NULL) ORDER BY seq LIMIT $limit`,
} as const;
const latest = listing(PAGES.latest);
const before = listing(PAGES.before);
const after = listing(PAGES.after);
const waiting = listing(PAGES.waiting);
const backfill = listing(PAGES.backfill);
const newest = statement<Position>(`SELECT ${AT} AS at, seq ${OF_SESSION} ${NEWEST_FIRST}`);
const recent = statement<Weighed>(`SELECT ${WEIGHED} ${OF_SESSION} ORDER BY seq DESC LIMIT $limit`);
const first = statement<Weighed>(`SELECT ${WEIGHED} ${OF_SESSION} ORDER BY seq LIMIT $limit`);

/** Waiting rows that a latest page carries out of turn. */
const MAX_WAITING = 1_000;

export async function pageMessages(
  { reads }: Database,
  key: SessionKey,
  query: PageQuery,
): Promise<Access<MessagePage>> {
  const refused = denied(reads, "sessions", key);
  if (refused !== undefined) return refused;
  const session = key.id;
  const epoch = epochOf(reads, session);
  if (query.direction !== "after") return backwardPage(reads, session, epoch, query);
  const isStale = query.epoch !== undefined && query.epoch !== epoch;
  if (isStale) return backwardPage(reads, session, epoch, { direction: "latest", limit: query.limit }, true);
  return forwardPage(reads, session, epoch, query);
}

function backwardPage(
  db: Db,
  session: string,
  epoch: number,
  query: Exclude<PageQuery, { readonly direction: "after" }>,
  reset = false,
): MessagePage {
  const { limit } = query;
  const { page, hasMore, messages } = readListings(db, session, (take) => {
    const found =
      query.direction === "before"
        ? take(before, { session, ...query.before, limit: limit + 1 })
        : take(latest, { session, limit: limit + 1 });
    const page = found.slice(0, limit);
    const outOfTurn =
      query.direction === "latest"
        ? take(waiting, { session, limit: MAX_WAITING }).filter(({ id }) =>
            page.every((row) => row.id !== id),
          )
        : [];
    const rows = [...page, ...outOfTurn].sort((a, b) => a.at - b.at || a.seq - b.seq);
    return { page: page as readonly Position[], hasMore: found.length > limit, rows };
  });
  const oldest = page.at(-1);
  const head = query.direction === "latest" ? page[0] : headOf(db, session);
  return {
    messages,
    page: {
      direction: query.direction,
      limit,
      epoch,
      reset,
      nextBeforeSeq: oldest?.seq ?? null,
      nextBeforeAt: oldest?.at ?? null,
      nextAfterSeq: null,
      nextAfterAt: null,
      snapshotHeadSeq: head?.seq ?? null,
      snapshotHeadAt: head?.at ?? null,
      hasMore,
    },
  };
}

function forwardPage(
  db: Db,
  session: string,
  epoch: number,
  { limit, after: from, until }: Extract<PageQuery, { readonly direction: "after" }>,
): MessagePage {
  const head = headOf(db, session);
  const bound = head === undefined || until === undefined ? (head ?? until) : lower(head, until);
  const { page, hasMore, messages } = readListings(db, session, (take) => {
    const found =
      head === undefined || bound === undefined
        ? []
        : take(after, { session, ...from, untilAt: bound.at, untilSeq: bound.seq, limit: limit + 1 });
    const rows = found.slice(0, limit);
    return { page: rows as readonly Position[], hasMore: found.length > limit, rows };
  });
  const last = page.at(-1) ?? (bound === undefined ? from : higher(from, bound));
  return {
    messages,
    page: {
      direction: "after",
      limit,
      epoch,
      reset: false,
      nextBeforeSeq: null,
      nextBeforeAt: null,
      nextAfterSeq: last.seq,
      nextAfterAt: last.at,
      snapshotHeadSeq: bound?.seq ?? null,
      snapshotHeadAt: bound?.at ?? null,
      hasMore,
    },
  };
}

function headOf(db: Db, session: string): Position | undefined {
  return newest(db).get({ session, limit: 1 }) ?? undefined;
}

const isBefore = (a: Position, b: Position) => a.at < b.at || (a.at === b.at && a.seq < b.seq);
const lower = (a: Position, b: Position) => (isBefore(a, b) ? a : b);
const higher = (a: Position, b: Position) => (isBefore(a, b) ? b : a);

export async function messagesAfter(
  { reads }: Database,
  key: SessionKey,
  { afterSeq, limit }: { readonly afterSeq: number; readonly limit: number },
): Promise<Access<Rows<MessageRow>>> {
  const refused = denied(reads, "sessions", key);
  if (refused !== undefined) return refused;
  const values = { session: key.id, after: afterSeq, now: Date.now(), limit };
  return readListings(reads, key.id, (take) => ({ rows: take(backfill, values) })).messages;
}

/** Of a reading that holds all of it: what is beyond is left out. */
const HELD_BYTES = 16 * 1024 * 1024;

const held =
  (query: (db: Db) => { all(values: { session: string; limit: number }): Weighed[] }) =>
  async ({ reads }: Database, session: string, limit: number): Promise<MessageRow[]> => {
    let bytes = 0;
    const rows: MessageRow[] = [];
    for (const one of query(reads).all({ session, limit })) {
      bytes += plainBytes(one.bytes, one.head);
      if (bytes > HELD_BYTES) break;
      const row = readMessage(reads, session, one.id);
      if (row !== undefined) rows.push(row);
    }
    return rows;
  };

export const recentMessages = held(recent);
export const firstMessages = held(first);

/** Rows of one reading of an export. */
const EXPORT_ROWS = 500;

export async function exportMessages(
  { reads }: Database,
  key: SessionKey,
): Promise<Access<{ readonly count: number; readonly bytes: number; readonly messages: Rows<MessageRow> }>> {
  const refused = denied(reads, "sessions", key);
  if (refused !== undefined) return refused;
  const { messages: count, bytes } = countMessages(reads, key.id);
  return { count, bytes, messages: { isHeavy: true, rows: allOf(reads, key.id) } };
}

/** What is stored while it is read may be in it. */
async function* allOf(db: Db, session: string): AsyncGenerator<MessageRow> {
  let from: Position = { at: Number.MIN_SAFE_INTEGER, seq: 0 };
  for (;;) {
    const found = after.weighed(db).all({ session, ...from, ...END, limit: EXPORT_ROWS });
    const last = found.at(-1);
    if (last === undefined) return;
    yield* messagesOf(db, session, found).rows;
    from = { at: last.at, seq: last.seq };
  }
}

const END = { untilAt: Number.MAX_SAFE_INTEGER, untilSeq: Number.MAX_SAFE_INTEGER };

export async function findMessage(
  { reads }: Database,
  key: SessionKey,
  idOrLocalId: string,
): Promise<Access<{ readonly message: MessageRow | undefined }>> {
  return denied(reads, "sessions", key) ?? { message: readMessage(reads, key.id, idOrLocalId) };
}
