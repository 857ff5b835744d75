// What every operation of the store promises, whichever database is behind it.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { openTestStore, type TestStore } from "../../../test/support/happy-store.ts";
import { ValueTooLarge } from "../../limits/value-sizes.ts";
import { UnknownAccount } from "./accounts.ts";

let all: TestStore;
beforeEach(() => {
  all = openTestStore();
});
afterEach(() => all.close());

const nothing = () => {};
const huge = "x".repeat(2 * 1024 * 1024);

test("what is wrong rejects, also where it is seen before anything is asked of the database", async () => {
  const { store } = all;
  const me = await all.account("AA");
  const session = { tag: "t", metadata: huge, dataEncryptionKey: null };
  const wrong = [
    [store.openSession(me, session, nothing), ValueTooLarge],
    [
      store.changeAccount(me, { settings: { value: huge.repeat(5), expectedVersion: 0 } }, nothing),
      ValueTooLarge,
    ],
    [store.loadAccount("nobody"), UnknownAccount],
    [store.requireAccount("nobody"), UnknownAccount],
    [store.loadSettings("nobody"), UnknownAccount],
    [store.mutateKv("nobody", [], nothing), UnknownAccount],
  ] as const;
  for (const [refused, kind] of wrong) await expect(refused).rejects.toBeInstanceOf(kind);
  await all.close();
  await expect(store.answers()).rejects.toThrow();
  await expect(store.listSessions(me, 10)).rejects.toThrow();
  await expect(store.openSession(me, { ...session, metadata: "m" }, nothing)).rejects.toThrow();
});

test("a read shows what is committed, and an announcement comes before anybody is told", async () => {
  const { store } = all;
  const me = await all.account("AA");
  const told: string[] = [];
  const opening = store
    .openSession(me, { tag: "t", metadata: "m", dataEncryptionKey: null }, () => told.push("announced"))
    .then(({ row }) => {
      told.push("done");
      return row.id;
    });
  const listed = async () => Array.fromAsync((await store.listSessions(me, 10)).rows);
  const early = await listed();
  expect([early, told]).toEqual([[], []]);
  const id = await opening;
  expect(told).toEqual(["announced", "done"]);
  expect(await listed()).toMatchObject([{ id }]);
  expect([await store.ownsSession(me, id), await store.ownsSession("other", id)]).toEqual([true, false]);
});

test("profile and settings are of one moment", async () => {
  const { store } = all;
  const me = await all.account("AA");
  for (let version = 0; version < 20; version++) {
    const change = { settings: { value: `${version}`, expectedVersion: version }, firstName: `${version}` };
    const [, { profile, settings }] = await Promise.all([
      store.changeAccount(me, change, nothing),
      store.loadAccount(me),
    ]);
    expect(settings.settings).toBe(profile.firstName);
  }
});

test("rows of each table are counted, and settled waits for what the same sender stored", async () => {
  const { store } = all;
  const me = await all.account("AA");
  const id = await all.session(me, "t");
  const sender = {};
  let isStored = false;
  const batch = [{ content: "c", localId: "l" }];
  void store.appendMessages(
    me,
    id,
    batch,
    () => {
      isStored = true;
    },
    sender,
  );
  await store.settled(sender);
  expect(isStored).toBe(true);
  expect(await store.countRecords()).toEqual({ accounts: 1, sessions: 1, messages: 1, machines: 0 });
});
