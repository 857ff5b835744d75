// Holds the maximum to its order: uploads are refused first, then new things, messages last; and to what uploads under way count.
import { afterEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createLog } from "../observability/log.ts";
import { StorageError } from "./errors.ts";
import { LocalBlobs } from "./local-blobs.ts";
import { MeteredBlobs } from "./metered-blobs.ts";
import { Quota } from "./quota.ts";

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

const levels: readonly [number, string[]][] = [
  [0, []],
  [899, []],
  [900, ["upload"]],
  [949, ["upload"]],
  [950, ["upload", "thing"]],
  [999, ["upload", "thing"]],
  [1000, ["upload", "thing", "message"]],
  [5000, ["upload", "thing", "message"]],
];

for (const [used, refused] of levels)
  test(`at ${used} of 1000 bytes`, () => {
    const quota = new Quota(() => 1000);
    quota.databaseBytes = used - Math.floor(used / 3);
    quota.blobBytes = Math.floor(used / 3);
    expect(quota.refused()).toEqual(refused as ReturnType<Quota["refused"]>);
    for (const growth of ["upload", "thing", "message"] as const) {
      const asked = () => quota.admit(growth);
      if (refused.includes(growth)) expect(asked).toThrow(StorageError);
      else expect(asked).not.toThrow();
    }
  });

test("without a maximum nothing is refused, and a new maximum counts at once", () => {
  let maximum = 0;
  const quota = new Quota(() => maximum);
  quota.databaseBytes = 2 ** 50;
  expect([quota.isLimited, quota.refused()]).toEqual([false, []]);
  maximum = 1;
  expect([quota.isLimited, quota.refused()]).toEqual([true, ["upload", "thing", "message"]]);
});

function blobs(maximum: number) {
  const folder = mkdtempSync(join(tmpdir(), "roost-quota-"));
  folders.push(folder);
  const quota = new Quota(() => maximum);
  let removals = 0;
  const local = new LocalBlobs({ folder, minFreeBytes: 0, log: createLog("silent") });
  return {
    quota,
    removals: () => removals,
    store: new MeteredBlobs(local, quota, () => {
      removals++;
    }),
  };
}

test("an upload counts what it stored, and one that would pass the mark is refused unread", async () => {
  const { quota, store } = blobs(1000);
  await store.put("a", [new Uint8Array(600)], 800);
  expect(quota.blobBytes).toBe(600);
  let wasRead = false;
  const content = (function* () {
    wasRead = true;
    yield new Uint8Array(300);
  })();
  await expect(store.put("b", content, 300)).rejects.toMatchObject({ code: "quota" });
  expect([wasRead, quota.blobBytes, await store.find("b")]).toEqual([false, 600, undefined]);
});

test("uploads that arrive together do not pass the mark together, and one that fails counts nothing", async () => {
  const { quota, store } = blobs(1000);
  const gate = Promise.withResolvers<void>();
  const slow = async function* () {
    await gate.promise;
    yield new Uint8Array(100);
    throw new Error("cut off");
  };
  const first = store.put("a", slow(), 700);
  await expect(store.put("b", [new Uint8Array(300)], 300)).rejects.toMatchObject({ code: "quota" });
  gate.resolve();
  await expect(first).rejects.toThrow("cut off");
  expect(quota.blobBytes).toBe(0);
  await store.put("b", [new Uint8Array(300)], 300);
});

test("removing asks for a new measurement and is never refused", async () => {
  const { quota, store, removals } = blobs(1000);
  await store.put("s/a", [new Uint8Array(500)], 500);
  quota.databaseBytes = 5000;
  await store.removeFolder("s");
  expect([removals(), await store.find("s/a")]).toEqual([1, undefined]);
});
