// What is old is counted and deleted by the same rules, in small steps, and each step looks again.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { openTestStore, type TestStore } from "../../../test/support/happy-store.ts";
import type { OldCutoffs } from "./retention.ts";

const NONE: OldCutoffs = { sessions: undefined, messages: undefined, usage: undefined, feed: undefined };
const NOW = 1_000_000;

let all: TestStore;
let me: string;
beforeEach(async () => {
  all = openTestStore();
  me = await all.account("AA");
});
afterEach(() => all.close());

const write = (text: string) => all.database.writer.run((db) => db.run(text));

/** A session that was last heard and changed at `at`. */
async function session(tag: string, at: number, active = 0, messages = 0): Promise<string> {
  const id = await all.session(me, tag);
  const batch = Array.from({ length: messages }, (_, n) => ({ content: "0123456789", localId: `${n}` }));
  if (messages > 0) await all.store.appendMessages(me, id, batch, () => {});
  await write(
    `UPDATE sessions SET active = ${active}, last_active_at = ${at}, updated_at = ${at} WHERE id = '${id}'`,
  );
  return id;
}
const entries = (count: number, at: number) =>
  write(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${count})
    INSERT INTO feed_items (id, account_pk, counter, body, created_at, updated_at)
    SELECT 'f${at}-' || i, 1, ${at * 1_000} + i, '{}', ${at}, ${at} FROM n`);

test("inactive ones only are counted, for each account; messages of sessions that go are not counted twice", async () => {
  await session("gone", NOW - 20, 0, 2);
  await session("silent", NOW - 5, 0, 3);
  await session("active", NOW - 20, 1, 4);
  await entries(2, NOW - 20);
  const { store } = all;
  expect(await store.countOld(NONE)).toEqual([]);
  expect(await store.countOld({ sessions: NOW - 10, messages: NOW - 1, usage: NOW, feed: NOW - 10 })).toEqual(
    [
      { kind: "sessions", account: me, count: 1, bytes: 21 },
      { kind: "messages", account: me, count: 3, bytes: 30 },
      { kind: "feed entries", account: me, count: 2, bytes: 4 },
    ],
  );
  expect((await store.countOld({ ...NONE, messages: NOW - 1 }))[0]?.count).toBe(5);
});

test("entries of the feed go in slices, the younger ones stay", async () => {
  await entries(450, NOW - 20);
  await entries(3, NOW);
  const { store } = all;
  const went: number[] = [];
  for (let count = -1; count !== 0; went.push(count)) count = await store.deleteSomeFeed(NOW - 10);
  expect(went).toEqual([200, 200, 50, 0]);
  expect(all.sql("SELECT count(*) AS n FROM feed_items")).toEqual([{ n: 3 }]);
});

test("inactive sessions are found one after the other, those with messages only when they are wanted", async () => {
  const [empty, full] = [await session("empty", NOW - 20), await session("full", NOW - 20, 0, 1)];
  await session("young", NOW, 0, 1);
  const { store } = all;
  const found: string[] = [];
  for (let pk = 0; ; ) {
    const next = await store.nextInactiveSession(NOW - 10, pk, false);
    if (next === undefined) break;
    pk = next.pk;
    found.push(next.id);
  }
  expect(found).toEqual([empty, full]);
  expect(await store.nextInactiveSession(NOW - 10, 0, true)).toMatchObject({ id: full, account: me });
});

test("a session that came back to life since it was found keeps all it has", async () => {
  const id = await session("back", NOW - 20, 0, 2);
  const { store } = all;
  const found = await store.nextInactiveSession(NOW - 10, 0, false);
  await write(`UPDATE sessions SET last_active_at = ${NOW} WHERE id = '${id}'`);
  let announced = false;
  const announce = () => {
    announced = true;
  };
  expect(await store.deleteSomeMessages(found?.pk ?? 0, NOW - 10)).toBe(0);
  expect(await store.deleteInactiveSession(found?.pk ?? 0, NOW - 10, announce)).toBe(false);
  expect([announced, await store.ownsSession(me, id)]).toEqual([false, true]);
  expect(all.sql("SELECT count(*) AS n FROM messages")).toEqual([{ n: 2 }]);
});

test("whose a session is, and whether it is leaving", async () => {
  const [old, live] = [await session("old", NOW - 20), await session("live", NOW - 20, 1)];
  const { store } = all;
  expect(await store.sessionOwner(old, NOW - 10)).toEqual({ account: me, isLeaving: true });
  expect(await store.sessionOwner(old, undefined)).toEqual({ account: me, isLeaving: false });
  expect(await store.sessionOwner(live, NOW - 10)).toEqual({ account: me, isLeaving: false });
  expect(await store.sessionOwner("none", NOW)).toBeUndefined();
});

test("the newest moment is that of the newest thing that is not later than now", async () => {
  await write("UPDATE accounts SET created_at = 5");
  const { store } = all;
  expect(await store.newestMoment(4)).toBeUndefined();
  expect(await store.newestMoment(NOW)).toBe(5);
  await session("t", NOW - 7);
  expect(await store.newestMoment(NOW)).toBe(NOW - 7);
  expect(await store.newestMoment(NOW - 8)).toBe(5);
});
