// The database gives the key of a deleted row away again. Who reads a large list or value piece by piece gets nothing of the row that
// has the key by then, which may be another account's.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { openTestStore, type TestStore } from "../../../test/support/happy-store.ts";
import { StoredValue, ValueChanged } from "../../storage/stored-value.ts";

let all: TestStore;
let me: string;
let other: string;
beforeEach(async () => {
  all = openTestStore();
  [me, other] = [await all.account("AA"), await all.account("BB")];
});
afterEach(() => all.close());

const nothing = () => {};
const open = async (account: string, tag: string, metadata: string): Promise<string> => {
  const session = { tag, metadata, dataEncryptionKey: null };
  return (await all.store.openSession(account, session, nothing)).row.id;
};
const say = (account: string, session: string, content: string, count: number) => {
  const messages = Array.from({ length: count }, (_, n) => ({ content, localId: `${n}` }));
  return all.store.appendMessages(account, session, messages, nothing);
};

test("a heavy list of sessions leaves out one whose key is another's by now", async () => {
  const first = await open(me, "first", "m".repeat(200_000));
  for (let n = 0; n < 5; n++) await open(me, `${n}`, "m".repeat(200_000));
  const last = await open(me, "last", "m".repeat(200_000));
  const { rows, isHeavy } = await all.store.listSessions(me, 10);
  await all.store.deleteSession(me, last, nothing);
  const foreign = await open(other, "t", "foreign");
  const ids = (await Array.fromAsync(rows)).map(({ id }) => id);
  expect([isHeavy, ids.includes(foreign), ids.includes(first), ids.length]).toEqual([true, false, true, 6]);
});

test("a heavy page of messages leaves out those whose keys, and whose session's, are another's by now", async () => {
  const mine = await open(me, "t", "m");
  await say(me, mine, "m".repeat(100_000), 20);
  const page = await all.store.pageMessages(me, mine, { afterSeq: 0 }, { limit: 100 });
  await all.store.deleteSession(me, mine, nothing);
  const theirs = await open(other, "t", "m");
  await say(other, theirs, "foreign", 20);
  expect([page?.isHeavy, await Array.fromAsync(page?.rows ?? [])]).toEqual([true, []]);
});

test("a large value that is another's by now ends what was begun of it", async () => {
  const mine = await open(me, "t", "m".repeat(1_000_000));
  const row = await all.store.openSession(me, { tag: "t", metadata: "", dataEncryptionKey: null }, nothing);
  const metadata = (await all.store.findLightSession(row.row.pk))?.metadata;
  await all.store.deleteSession(me, mine, nothing);
  await open(other, "t", "f".repeat(1_000_000));
  if (!(metadata instanceof StoredValue)) throw new Error("it is large");
  await expect(metadata.whole()).rejects.toThrow(ValueChanged);
});
