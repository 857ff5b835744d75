// Messages of a session: appended exactly once for each localId with gapless seqs, read forward and backward by seq.
import { and, asc, desc, eq, gt, lt, sql } from "drizzle-orm";
import type { Database } from "../../storage/database.ts";
import { newId } from "../../storage/ids.ts";
import { type Db, prepared } from "../../storage/query.ts";
import type { Quota } from "../../storage/quota.ts";
import { admitRows } from "./account-sizes.ts";
import { takeUpdateSeqs } from "./accounts.ts";
import { messages, sessions } from "./schema.ts";
import { findOwnedSession } from "./sessions.ts";

export type MessageRow = Pick<
  typeof messages.$inferSelect,
  "id" | "seq" | "localId" | "content" | "createdAt" | "updatedAt"
>;

export interface NewMessage {
  readonly content: string;
  /** Idempotency key within the session; null for none. */
  readonly localId: string | null;
}

export interface CreatedMessage {
  readonly row: MessageRow;
  readonly updateSeq: number;
}

export interface Appended {
  /** Newly stored, in seq order, each with the number of its announcement. */
  readonly created: readonly CreatedMessage[];
  /** Newly and formerly stored, unique, in seq order. */
  readonly all: readonly MessageRow[];
}

const byLocalId = prepared((db) =>
  db
    .select(columns())
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
      content: sql.placeholder("content"),
      createdAt: sql.placeholder("now"),
      updatedAt: sql.placeholder("now"),
    })
    .prepare(),
);

/**
 * Stores what is new of `batch`; the first of equal localIds wins, known ones are returned as they are. Duplicates take no numbers.
 * Undefined when the account has no such session.
 */
export function appendMessages(
  { writer, quota }: Database,
  account: string,
  session: string,
  batch: readonly NewMessage[],
  announce: (appended: Appended) => void,
  /** Whose messages must not overtake each other when one is refused. */
  sender?: object,
): Promise<Appended | undefined> {
  return writer.run(
    (db) => {
      const keys = findOwnedSession(db, account, session);
      return keys === undefined ? undefined : append(db, quota, { ...keys, account }, batch);
    },
    (appended) => {
      if (appended !== undefined) announce(appended);
    },
    { holds: batch, sender },
  );
}

function append(
  db: Db,
  quota: Quota,
  keys: { pk: number; accountPk: number; account: string },
  batch: readonly NewMessage[],
): Appended {
  const known: MessageRow[] = [];
  const fresh: NewMessage[] = [];
  const seen = new Set<string>();
  for (const message of batch) {
    if (message.localId !== null) {
      if (seen.has(message.localId)) continue;
      seen.add(message.localId);
      const stored = byLocalId(db).get({ sessionPk: keys.pk, localId: message.localId });
      if (stored !== undefined) {
        known.push(stored);
        continue;
      }
    }
    fresh.push(message);
  }
  if (fresh.length > 0) {
    quota.admit("message");
    const contents = fresh.flatMap(({ content, localId }) => [content, localId]);
    admitRows(db, quota, { account: keys.account, pk: keys.accountPk }, contents, fresh.length);
  }
  const created = fresh.length === 0 ? [] : store(db, keys, fresh);
  const all = [...known, ...created.map(({ row }) => row)];
  return { created, all: known.length === 0 ? all : all.sort((a, b) => a.seq - b.seq) };
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
    insert(db).run({ ...row, sessionPk: keys.pk, now });
    return { row, updateSeq: firstUpdate + index };
  });
}

const forward = prepared((db) =>
  db
    .select(columns())
    .from(messages)
    .where(
      and(eq(messages.sessionPk, sql.placeholder("sessionPk")), gt(messages.seq, sql.placeholder("seq"))),
    )
    .orderBy(asc(messages.seq))
    .limit(sql.placeholder("limit"))
    .prepare(),
);

const backward = prepared((db) =>
  db
    .select(columns())
    .from(messages)
    .where(
      and(eq(messages.sessionPk, sql.placeholder("sessionPk")), lt(messages.seq, sql.placeholder("seq"))),
    )
    .orderBy(desc(messages.seq))
    .limit(sql.placeholder("limit"))
    .prepare(),
);

export type MessageCursor = { readonly afterSeq: number } | { readonly beforeSeq: number };

/** After a seq ascending, or before one descending. Undefined when the account has no such session. */
export function pageMessages(
  { reads }: Database,
  account: string,
  session: string,
  cursor: MessageCursor,
  limit: number,
): { rows: MessageRow[]; hasMore: boolean } | undefined {
  const keys = findOwnedSession(reads, account, session);
  if (keys === undefined) return undefined;
  const found =
    "afterSeq" in cursor
      ? forward(reads).all({ sessionPk: keys.pk, seq: cursor.afterSeq, limit: limit + 1 })
      : backward(reads).all({ sessionPk: keys.pk, seq: cursor.beforeSeq, limit: limit + 1 });
  return { rows: found.slice(0, limit), hasMore: found.length > limit };
}

function columns() {
  return {
    id: messages.id,
    seq: messages.seq,
    localId: messages.localId,
    content: messages.content,
    createdAt: messages.createdAt,
    updatedAt: messages.updatedAt,
  };
}
