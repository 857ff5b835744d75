// Messages of a session: appended exactly once for each localId with gapless seqs, read forward and backward by seq.
import { and, asc, desc, eq, gt, lt, sql } from "drizzle-orm";
import { RawText, textBytes } from "../../http/large-json.ts";
import type { Database } from "../../storage/database.ts";
import { newId } from "../../storage/ids.ts";
import type { Light } from "../../storage/large-rows.ts";
import { type Db, prepared } from "../../storage/query.ts";
import type { Quota } from "../../storage/quota.ts";
import { type Listed, weighedList } from "../../storage/weighed-list.ts";
import { admitRows } from "./account-sizes.ts";
import { takeUpdateSeqs } from "./accounts.ts";
import { rememberRefused } from "./refused-messages.ts";
import { messages, sessions } from "./schema.ts";
import { findOwnedSession } from "./sessions.ts";

export type MessageRow = Pick<
  typeof messages.$inferSelect,
  "id" | "seq" | "localId" | "content" | "createdAt" | "updatedAt"
>;
/** What an answer to its sender tells of a message. */
export type MessageReceipt = Omit<MessageRow, "content">;

export interface NewMessage {
  readonly content: string | RawText;
  /** Idempotency key within the session; null for none. */
  readonly localId: string | null;
}

export interface CreatedMessage {
  readonly row: MessageReceipt & { readonly content: string | RawText };
  readonly updateSeq: number;
}

export interface Appended {
  /** Newly stored, in seq order, each with the number of its announcement. */
  readonly created: readonly CreatedMessage[];
  /** Newly and formerly stored, unique, in seq order. */
  readonly all: readonly MessageReceipt[];
  /** Messages whose content is larger than permitted: neither stored nor answered. */
  readonly tooLarge: readonly { readonly localId: string | null; readonly bytes: number }[];
}

const byLocalId = prepared((db) =>
  db
    .select(receipt())
    .from(messages)
    .where(
      and(
        eq(messages.sessionPk, sql.placeholder("sessionPk")),
        eq(messages.localId, sql.placeholder("localId")),
      ),
    )
    .prepare(),
);

const takeSeqs = prepared((db) =>
  db
    .update(sessions)
    .set({ seq: sql`${sessions.seq} + ${sql.placeholder("by")}`, updatedAt: sql`${sql.placeholder("now")}` })
    .where(eq(sessions.pk, sql.placeholder("pk")))
    .returning({ seq: sessions.seq })
    .prepare(),
);

const insert = prepared((db) =>
  db
    .insert(messages)
    .values({
      id: sql.placeholder("id"),
      sessionPk: sql.placeholder("sessionPk"),
      seq: sql.placeholder("seq"),
      localId: sql.placeholder("localId"),
      // Text that came as bytes is stored without a copy as a string.
      content: sql`CAST(${sql.placeholder("content")} AS TEXT)`,
      createdAt: sql.placeholder("now"),
      updatedAt: sql.placeholder("now"),
    })
    .prepare(),
);

/**
 * Stores what is new of `batch`; the first of equal localIds wins, known ones are returned as they are. Duplicates take no numbers.
 * A content that is too large is left out, and remembered: a client would repeat the refusal of its batch for ever.
 * Undefined when the account has no such session.
 */
export function appendMessages(
  { writer, quota, sizes }: Database,
  account: string,
  session: string,
  batch: readonly NewMessage[],
  announce: (appended: Appended) => void,
  /** Whose messages must not overtake each other when one is refused. */
  sender?: object,
): Promise<Appended | undefined> {
  const limit = sizes.limit("content");
  const tooLarge = batch.filter(({ content }) => isLarger(content, limit));
  const fitting = tooLarge.length === 0 ? batch : batch.filter((message) => !tooLarge.includes(message));
  return writer.run(
    (db) => {
      const keys = findOwnedSession(db, account, session);
      if (keys === undefined) return undefined;
      if (tooLarge.length === 0) return append(db, quota, { ...keys, account }, batch);
      const refused = tooLarge.map(({ content, localId }) => ({ localId, bytes: textBytes(content) }));
      rememberRefused(db, keys.pk, refused);
      return { ...append(db, quota, { ...keys, account }, fitting), tooLarge: refused };
    },
    (appended) => {
      if (appended !== undefined) announce(appended);
    },
    { holds: batch, sender },
  );
}

const stored = (content: string | RawText) => (content instanceof RawText ? content.bytes : content);

/** A UTF-16 unit is one to three bytes. */
function isLarger(content: string | RawText, limit: number): boolean {
  if (typeof content === "string" && content.length * 3 <= limit) return false;
  return textBytes(content) > limit;
}

function append(
  db: Db,
  quota: Quota,
  keys: { pk: number; accountPk: number; account: string },
  batch: readonly NewMessage[],
): Appended {
  const known: MessageReceipt[] = [];
  const fresh: NewMessage[] = [];
  const seen = new Set<string>();
  for (const message of batch) {
    if (message.localId !== null) {
      if (seen.has(message.localId)) continue;
      seen.add(message.localId);
      const first = byLocalId(db).get({ sessionPk: keys.pk, localId: message.localId });
      if (first !== undefined) {
        known.push(first);
        continue;
      }
    }
    fresh.push(message);
  }
  if (fresh.length > 0) {
    quota.admit("message");
    const contents = fresh.flatMap(({ content, localId }) => [stored(content), localId]);
    admitRows(db, quota, { account: keys.account, pk: keys.accountPk }, contents, fresh.length);
  }
  const created = fresh.length === 0 ? [] : store(db, keys, fresh);
  const all = [...known, ...created.map(({ row }) => row)];
  return { created, all: known.length === 0 ? all : all.sort((a, b) => a.seq - b.seq), tooLarge: [] };
}

function store(
  db: Db,
  keys: { pk: number; accountPk: number },
  fresh: readonly NewMessage[],
): CreatedMessage[] {
  const now = Date.now();
  const last = takeSeqs(db).get({ by: fresh.length, now, pk: keys.pk });
  if (last === undefined) throw new Error("the session vanished inside its own operation");
  const firstUpdate = takeUpdateSeqs(db, keys.accountPk, now, fresh.length);
  return fresh.map(({ content, localId }, index) => {
    const row = {
      id: newId(now),
      seq: last.seq - fresh.length + 1 + index,
      localId,
      content,
      createdAt: now,
      updatedAt: now,
    };
    insert(db).run({ ...row, content: stored(content), sessionPk: keys.pk, now });
    return { row, updateSeq: firstUpdate + index };
  });
}

const ofSession = eq(messages.sessionPk, sql.placeholder("sessionPk"));
const forward = weighedList({
  table: messages,
  large: { content: null },
  omit: ["sessionPk"],
  where: and(ofSession, gt(messages.seq, sql.placeholder("seq"))),
  order: asc(messages.seq),
});
const backward = weighedList({
  table: messages,
  large: { content: null },
  omit: ["sessionPk"],
  where: and(ofSession, lt(messages.seq, sql.placeholder("seq"))),
  order: desc(messages.seq),
});

export type MessageCursor = { readonly afterSeq: number } | { readonly beforeSeq: number };

export interface MessagePage {
  readonly limit: number;
  /** Stored bytes that end the page; without it only `limit` does. */
  readonly budgetBytes?: number;
}

/** After a seq ascending, or before one descending. Undefined when the account has no such session. */
export async function pageMessages(
  { reads }: Database,
  account: string,
  session: string,
  cursor: MessageCursor,
  page: MessagePage,
): Promise<Listed<Light<MessageRow, "content">> | undefined> {
  const keys = findOwnedSession(reads, account, session);
  if (keys === undefined) return undefined;
  const sessionPk = keys.pk;
  return "afterSeq" in cursor
    ? forward(reads, { ...page, values: { sessionPk, seq: cursor.afterSeq } })
    : backward(reads, { ...page, values: { sessionPk, seq: cursor.beforeSeq } });
}

function receipt() {
  return {
    id: messages.id,
    seq: messages.seq,
    localId: messages.localId,
    createdAt: messages.createdAt,
    updatedAt: messages.updatedAt,
  };
}
