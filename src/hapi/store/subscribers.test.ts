// Users stay with their namespace, endpoints and phones are replaced and bounded, notes belong to their session.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { granted, openTestHapiStore, type TestHapiStore } from "../../../test/support/hapi-store.ts";
import type { HapiStore } from "./contract.ts";

let all: TestHapiStore;
let store: HapiStore;
beforeEach(() => {
  all = openTestHapiStore();
  store = all.store;
});
afterEach(() => all.close());

test("a user is bound once, to one namespace", async () => {
  const bind = (namespace: string) =>
    store.bindUser({ platform: "telegram", platformUserId: "7", namespace });
  expect([await bind("a"), await bind("a"), await bind("b")]).toEqual(["bound", "bound", "already-bound"]);
  expect((await store.findBinding("telegram", "7"))?.namespace).toBe("a");
  expect((await store.listBindings("telegram", "a")).length).toBe(1);
  expect(await store.listBindings("telegram", "b")).toEqual([]);
  expect([await store.unbindUser("telegram", "7"), await store.unbindUser("telegram", "7")]).toEqual([
    true,
    false,
  ]);
});

test("an endpoint that comes again gets its new keys; over the bound the oldest goes, of that namespace only", async () => {
  const put = (namespace: string, endpoint: string, auth: string) =>
    store.putSubscription({ namespace, endpoint, p256dh: "p", auth }, 2);
  await put("b", "e0", "x");
  await put("a", "e1", "x");
  await put("a", "e1", "y");
  expect(await store.listSubscriptions("a")).toMatchObject([{ endpoint: "e1", auth: "y" }]);
  await put("a", "e2", "x");
  await put("a", "e3", "x");
  expect((await store.listSubscriptions("a")).map(({ endpoint }) => endpoint)).toEqual(["e2", "e3"]);
  expect((await store.listSubscriptions("b")).length).toBe(1);
  expect(await store.deleteSubscription("b", "e2")).toBe(false);
  expect(await store.deleteSubscription("a", "e2")).toBe(true);
});

test("a phone gets its new token, and a token is one phone's", async () => {
  const put = (namespace: string, deviceId: string, token: string) =>
    store.putDevice({ namespace, deviceId, token, platform: "android", pushKey: null }, 5);
  await put("a", "d", "t1");
  await put("a", "d", "t2");
  expect(await store.listDevices("a")).toMatchObject([{ deviceId: "d", token: "t2", pushKey: null }]);
  await put("b", "d", "t2");
  expect(await store.listDevices("a")).toEqual([]);
  expect(await store.deleteDevice("a", { deviceId: "d" })).toBe(0);
  expect(await store.deleteDevice("b", { token: "t2" })).toBe(1);
});

test("notes are listed newest first, changed, bounded and deleted in their own session", async () => {
  const key = { namespace: "default", id: await all.session("t") };
  const add = async (text: string) =>
    granted(await store.addScratch(key, { text, attachments: [] }, 2)).entry;
  const first = await add("one");
  if (first === "full") throw new Error("full");
  await Bun.sleep(2);
  await add("two");
  expect(await add("three")).toBe("full");
  const texts = async () => granted(await store.listScratch(key)).entries.map(({ text }) => text);
  expect(await texts()).toEqual(["two", "one"]);
  const file = { id: "f", filename: "a.png" };
  expect(granted(await store.changeScratch(key, first.entryId, { attachments: [file] })).entry).toMatchObject(
    {
      text: "one",
      attachments: [file],
    },
  );
  expect(granted(await store.changeScratch(key, "nobody", { text: "x" })).entry).toBeUndefined();
  expect(granted(await store.deleteScratch(key, first.entryId)).entry?.attachments).toEqual([file]);
  expect(granted(await store.deleteScratch(key, first.entryId)).entry).toBeUndefined();
  expect(await store.listScratch({ ...key, namespace: "x" })).toBe("access-denied");
});
