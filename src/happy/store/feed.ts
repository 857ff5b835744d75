// An account's feed: posts numbered from 1 without reuse, newest first; posting with a repeat key takes the older post away.
import { and, desc, eq, gt, lt, sql } from "drizzle-orm";
import type { Database } from "../../storage/database.ts";
import { newId } from "../../storage/ids.ts";
import type { Light } from "../../storage/large-rows.ts";
import type { Db } from "../../storage/query.ts";
import { type Listed, listedAs, NOTHING, PAGE_BYTES, weighedList } from "../../storage/weighed-list.ts";
import { findAccountPk, takeUpdateSeqs, UnknownAccount } from "./accounts.ts";
import { accounts, feedItems } from "./schema.ts";

/** The app refuses the whole feed when it meets a kind that it does not know (HTTP contract 16.4): never add one. */
export type FeedBody =
  | { readonly kind: "friend_request" | "friend_accepted"; readonly uid: string }
  | { readonly kind: "text"; readonly text: string };

export interface FeedItem {
  readonly id: string;
  readonly body: FeedBody;
  readonly repeatKey: string | null;
  readonly counter: number;
  readonly createdAt: number;
}

/** A post that was stored, with what its announcement needs. */
export interface Posted {
  readonly account: string;
  readonly updateSeq: number;
  readonly item: FeedItem;
}

/** Posts into one account's feed, inside the operation that the post tells of. @throws UnknownAccount */
export function post(db: Db, pk: number, body: FeedBody, repeatKey: string | null, now: number): Posted {
  if (repeatKey !== null) {
    db.delete(feedItems)
      .where(and(eq(feedItems.accountPk, pk), eq(feedItems.repeatKey, repeatKey)))
      .run();
  }
  const owner = db
    .update(accounts)
    .set({ feedSeq: sql`${accounts.feedSeq} + 1` })
    .where(eq(accounts.pk, pk))
    .returning({ id: accounts.id, counter: accounts.feedSeq })
    .get();
  if (owner === undefined) throw new UnknownAccount();
  const item = { id: newId(now), body, repeatKey, counter: owner.counter, createdAt: now };
  db.insert(feedItems)
    .values({ ...item, body: JSON.stringify(body), accountPk: pk, updatedAt: now })
    .run();
  return { account: owner.id, updateSeq: takeUpdateSeqs(db, pk, now), item };
}

export interface FeedPage {
  readonly limit: number;
  /** Only items below this counter; wins over `after`. */
  readonly before?: number | undefined;
  /** Only items above this counter. */
  readonly after?: number | undefined;
}

type LightItem = Light<typeof feedItems.$inferSelect, "body">;

const newest = weighedList({
  table: feedItems,
  large: { body: null },
  where: and(
    eq(feedItems.accountPk, sql.placeholder("account")),
    lt(feedItems.counter, sql.placeholder("before")),
    gt(feedItems.counter, sql.placeholder("after")),
  ),
  order: desc(feedItems.counter),
});

/** The newest items that fit, newest first, and whether more fit. */
export async function pageFeed(
  { reads }: Database,
  account: string,
  { limit, before, after }: FeedPage,
): Promise<Listed<FeedItem>> {
  const pk = findAccountPk(reads, account);
  if (pk === undefined) return NOTHING;
  const values = {
    account: pk,
    before: before ?? Number.MAX_SAFE_INTEGER,
    after: before === undefined ? (after ?? -1) : -1,
  };
  const listed = newest(reads, { values, limit, budgetBytes: PAGE_BYTES });
  return listedAs(listed, itemOf);
}

async function itemOf({ id, body, repeatKey, counter, createdAt }: LightItem): Promise<FeedItem> {
  // One that is large is read whole all the same: it is JSON by itself.
  const text = typeof body === "string" ? body : `${await body.whole()}`;
  return { id, body: JSON.parse(text) as FeedBody, repeatKey, counter, createdAt };
}
