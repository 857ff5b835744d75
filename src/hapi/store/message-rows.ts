// Rows of messages, read with or without their content. Of a page the contents that are small are read at once. If one of them is not, or
// all together are not, the rows are weighed, which reads no content, and read one by one while they are written, so that memory holds
// one of them.
import type { Db } from "../../storage/query.ts";
import type { Rows } from "../../storage/weighed-list.ts";
import { WHOLE_BYTES } from "../../storage/weighed-list.ts";
import { type Cell, HEAD_BYTES, plainBytes, StoredContent } from "./content.ts";
import type { DeliveryState, MessageReceipt, MessageRow } from "./rows.ts";
import { statement } from "./statement.ts";

export interface StoredReceipt {
  readonly id: string;
  readonly sessionId: string;
  readonly seq: number;
  readonly localId: string | null;
  readonly createdAt: number;
  readonly invokedAt: number | null;
  readonly scheduledAt: number | null;
  readonly deliveryState: string;
}
export interface StoredMessage extends StoredReceipt {
  readonly content: Cell;
}
/** A row by its position. */
export interface Placed {
  readonly id: string;
  readonly at: number;
  readonly seq: number;
}
/** The whole row, if its content is small. */
interface SmallRow extends Placed, Omit<StoredReceipt, "sessionId"> {
  /** Null where it is larger than `SMALL_BYTES`. */
  readonly content: Cell | null;
  /** 1 for a text that is JSON. */
  readonly isJson: number | null;
}
/** A row by its place and its size. */
export interface Weighed extends Placed {
  readonly place: number;
  readonly bytes: number;
  readonly head: Uint8Array | null;
}

export const RECEIPT = `id, session_id AS sessionId, seq, local_id AS localId, created_at AS createdAt, invoked_at AS invokedAt,
  scheduled_at AS scheduledAt, delivery_state AS deliveryState`;
export const MESSAGE = `${RECEIPT}, content`;
/** The expression of the index of positions, word by word. */
export const AT = "COALESCE(invoked_at, created_at)";
export const WEIGHED = `rowid AS place, id, ${AT} AS at, seq, octet_length(content) AS bytes,
  CASE typeof(content) WHEN 'blob' THEN substr(content, 1, ${HEAD_BYTES}) END AS head`;

const byId = statement<StoredMessage>(`SELECT ${MESSAGE} FROM messages WHERE id = $id`);
/** In the order of the places, which are read as they were found: nothing is stored between two statements of one turn. */
const byPlaces = statement<StoredMessage>(
  `SELECT ${MESSAGE} FROM (SELECT value AS place FROM json_each($places)) CROSS JOIN messages ON messages.rowid = place`,
);
const byLocalId = statement<StoredMessage>(
  `SELECT ${MESSAGE} FROM messages WHERE session_id = $session AND local_id = $localId`,
);

export const receiptOf = (row: StoredReceipt): MessageReceipt => ({
  id: row.id,
  sessionId: row.sessionId,
  seq: row.seq,
  localId: row.localId,
  createdAt: row.createdAt,
  invokedAt: row.invokedAt,
  scheduledAt: row.scheduledAt,
  deliveryState: stateOf(row.deliveryState),
});

export const messageOf = (row: StoredMessage): MessageRow => ({
  ...receiptOf(row),
  content: new StoredContent(row.content),
});

const stateOf = (text: string): DeliveryState =>
  text === "dispatching" || text === "indeterminate" ? text : "queued";

const SMALL_BYTES = 8 * 1024;
const SMALL = `id, ${AT} AS at, seq, local_id AS localId, created_at AS createdAt, invoked_at AS invokedAt, scheduled_at AS scheduledAt,
  delivery_state AS deliveryState, iif(octet_length(content) <= ${SMALL_BYTES}, content, NULL) AS content,
  iif(typeof(content) = 'text' AND octet_length(content) <= ${SMALL_BYTES}, json_valid(content), NULL) AS isJson`;

type Values = Readonly<Record<string, string | number>>;

/** A query of messages: what follows SELECT ..., for each of what it may read of a row. */
export interface Listing {
  readonly small: Reading<SmallRow>;
  readonly weighed: Reading<Weighed>;
}
type Reading<Row> = (db: Db) => { all(values: Values): Row[] };

export const listing = (tail: string): Listing => ({
  small: statement<SmallRow>(`SELECT ${SMALL} ${tail}`),
  weighed: statement<Weighed>(`SELECT ${WEIGHED} ${tail}`),
});

/** Gives the rows of a listing. */
export type Take<Row extends Placed> = (from: Listing, values: Values) => Row[];

/** What `gather` puts together of listings; it runs once more where not all is small. */
export function readListings<Found extends object>(
  db: Db,
  session: string,
  gather: <Row extends Placed>(take: Take<Row>) => Found & { readonly rows: readonly Row[] },
): Found & { readonly messages: Rows<MessageRow> } {
  const small = gather<SmallRow>((from, values) => from.small(db).all(values));
  if (areLight(small.rows))
    return { ...small, messages: { isHeavy: false, rows: whole(session, small.rows) } };
  const weighed = gather<Weighed>((from, values) => from.weighed(db).all(values));
  return { ...weighed, messages: messagesOf(db, session, weighed.rows) };
}

function areLight(rows: readonly SmallRow[]): boolean {
  let bytes = 0;
  for (const { content } of rows) {
    if (content === null) return false;
    bytes += typeof content === "string" ? content.length : plainBytes(content.byteLength, content);
  }
  return bytes <= WHOLE_BYTES && rows.length <= WHOLE_ROWS;
}

const whole = (session: string, rows: readonly SmallRow[]): MessageRow[] =>
  rows.map((row) => ({
    id: row.id,
    sessionId: session,
    seq: row.seq,
    localId: row.localId,
    createdAt: row.createdAt,
    invokedAt: row.invokedAt,
    scheduledAt: row.scheduledAt,
    deliveryState: stateOf(row.deliveryState),
    content: new StoredContent(row.content ?? "", row.isJson === 1),
  }));

/** The session's message of this id, or of this localId. */
export function readMessage(db: Db, session: string, idOrLocalId: string): MessageRow | undefined {
  const row = byId(db).get({ id: idOrLocalId });
  if (row !== null && row.sessionId === session) return messageOf(row);
  return readByLocalId(db, session, idOrLocalId);
}

export function readByLocalId(db: Db, session: string, localId: string): MessageRow | undefined {
  const row = byLocalId(db).get({ session, localId });
  return row === null ? undefined : messageOf(row);
}

/** More than a page has, as an export or a back-fill. */
const WHOLE_ROWS = 2_000;

/** Those rows that are still there and still the session's. */
export function messagesOf(db: Db, session: string, found: readonly Weighed[]): Rows<MessageRow> {
  const bytes = found.reduce((sum, one) => sum + plainBytes(one.bytes, one.head), 0);
  if (bytes <= WHOLE_BYTES && found.length <= WHOLE_ROWS) {
    const places = `[${found.map(({ place }) => place).join()}]`;
    return { isHeavy: false, rows: byPlaces(db).all({ places }).map(messageOf) };
  }
  const read = ({ id }: Weighed): MessageRow[] => {
    const row = byId(db).get({ id });
    return row === null || row.sessionId !== session ? [] : [messageOf(row)];
  };
  return { isHeavy: true, rows: eachLater(found, read) };
}

async function* eachLater(
  found: readonly Weighed[],
  read: (one: Weighed) => MessageRow[],
): AsyncGenerator<MessageRow> {
  for (const one of found) yield* read(one);
}
