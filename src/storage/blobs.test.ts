// What every way to keep blobs promises. A new one joins the list and is held to the same.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseConfig } from "../../test/support/config.ts";
import { s3Service } from "../../test/support/s3.ts";
import { createLog } from "../observability/log.ts";
import { type BlobStore, isBlobKey } from "./blobs.ts";
import { LocalBlobs } from "./local-blobs.ts";
import { S3Blobs } from "./s3-blobs.ts";

interface Kept {
  readonly store: BlobStore;
  close(): Promise<void>;
}

const log = createLog("silent");

const WAYS: [string, () => Promise<Kept>][] = [
  [
    "local",
    async () => {
      const folder = mkdtempSync(join(tmpdir(), "roost-blobs-"));
      const store = new LocalBlobs({ folder, minFreeBytes: 0, log });
      return { store, close: async () => rmSync(folder, { recursive: true }) };
    },
  ],
  [
    "S3",
    async () => {
      const service = s3Service();
      return { store: new S3Blobs({ ...parseConfig({}), ...service.config }), close: () => service.stop() };
    },
  ],
];

describe.each(WAYS)("%s", (_, open) => {
  let kept: Kept;
  let store: BlobStore;
  beforeEach(async () => {
    kept = await open();
    ({ store } = kept);
  });
  afterEach(() => kept.close());

  const put = (key: string, text: string) => store.put(key, [Buffer.from(text)], text.length);
  const read = async (key: string) => (await store.find(key))?.bytes.text();

  test("a blob is found as it was stored, with its size, until it is replaced", async () => {
    await put("sessions/s/attachments/a.enc", "one");
    expect(await read("sessions/s/attachments/a.enc")).toBe("one");
    expect((await store.find("sessions/s/attachments/a.enc"))?.size).toBe(3);
    await put("sessions/s/attachments/a.enc", "longer");
    expect(await read("sessions/s/attachments/a.enc")).toBe("longer");
  });

  test("content arrives in pieces, and may be none", async () => {
    const pieces = Array.from({ length: 20 }, (_, index) => new Uint8Array(70_000).fill(index));
    async function* content() {
      for (const piece of pieces) {
        await Bun.sleep(0);
        yield piece;
      }
    }
    await store.put("k/large", content(), 20 * 70_000);
    const found = await store.find("k/large");
    expect(await found?.bytes.bytes()).toEqual(new Uint8Array(Buffer.concat(pieces)));
    await store.put("k/empty", [], 0);
    expect((await store.find("k/empty"))?.size).toBe(0);
  });

  test("content that breaks off leaves what was there before", async () => {
    async function* broken() {
      yield Buffer.from("half");
      throw new Error("gone");
    }
    await expect(store.put("k/new", broken(), 4)).rejects.toThrow("gone");
    expect(await store.find("k/new")).toBeUndefined();
    await put("k/old", "whole");
    await expect(store.put("k/old", broken(), 4)).rejects.toThrow("gone");
    expect(await read("k/old")).toBe("whole");
  });

  test("a folder goes with everything in it, and nothing beside it", async () => {
    await put("sessions/a/attachments/1", "x");
    await put("sessions/a/attachments/2", "x");
    await put("sessions/ab/attachments/1", "kept");
    await store.removeFolder("sessions/a");
    expect(await store.find("sessions/a/attachments/1")).toBeUndefined();
    expect(await store.find("sessions/a/attachments/2")).toBeUndefined();
    expect(await read("sessions/ab/attachments/1")).toBe("kept");
    await store.removeFolder("sessions/none");
  });

  const names = [
    "with space",
    "ünïcødé",
    ".hidden",
    ".part-x",
    "tail.",
    "100%",
    "%2e",
    "colon:name",
    "CON",
    "q?#&+",
    `${"long".repeat(100)}`,
    `${"é".repeat(100)}`,
  ];
  test.each(names)("any name is a name: %j", async (name) => {
    await put(`k/${name}`, name);
    expect(await read(`k/${name}`)).toBe(name);
    expect(await store.find(`k/${name}x`)).toBeUndefined();
  });

  test("what is no key is refused or absent", async () => {
    for (const key of ["", "/", "a//b", "../a", "a/..", "./a", "a/.", "/a", "a/"]) {
      expect(isBlobKey(key)).toBe(false);
      expect(await store.find(key)).toBeUndefined();
      await expect(put(key, "x")).rejects.toThrow("not a blob key");
    }
    await put("k/a", "x");
    expect(await store.find("k")).toBeUndefined();
    expect(await store.find("k/a/b")).toBeUndefined();
  });

  test("two writers of one key leave one of them whole", async () => {
    const texts = Array.from({ length: 8 }, (_, index) => `${index}`.repeat(1_000 + index));
    await Promise.all(texts.map((text) => put("k/same", text)));
    expect(texts).toContain((await read("k/same")) ?? "");
  });
});
