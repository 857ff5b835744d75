// What is on the disk: private, whole or absent, never more than the disk has room for.
import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statfsSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createLog } from "../observability/log.ts";
import { StorageError } from "./errors.ts";
import { LocalBlobs } from "./local-blobs.ts";

let folder: string;
beforeEach(() => {
  folder = join(mkdtempSync(join(tmpdir(), "roost-blobs-")), "files");
});
afterEach(() => rmSync(join(folder, ".."), { recursive: true }));

const open = (minFreeBytes = 0) => new LocalBlobs({ folder, minFreeBytes, log: createLog("silent") });
const everything = () => readdirSync(folder, { recursive: true }).map(String).sort();
const mode = (path: string) => statSync(path).mode & 0o777;

test("only the owner reads files and folders; ordinary names are the original's", async () => {
  await open().put("sessions/s1/attachments/0a-B.enc", [Buffer.from("x")], 1);
  expect(everything()).toEqual([
    "sessions",
    "sessions/s1",
    "sessions/s1/attachments",
    "sessions/s1/attachments/0a-B.enc",
  ]);
  expect(mode(folder)).toBe(0o700);
  expect(mode(join(folder, "sessions/s1/attachments"))).toBe(0o700);
  expect(mode(join(folder, "sessions/s1/attachments/0a-B.enc"))).toBe(0o600);
});

test.each(["a\\..\\b", "back\\slash", "n\u0000l", "tab\t"])("a file may be named %j", async (name) => {
  const blobs = open();
  await blobs.put(`k/${name}`, [Buffer.from(name)], 10);
  expect(await (await blobs.find(`k/${name}`))?.bytes.text()).toBe(name);
  expect(everything()).toHaveLength(2);
});

test("an upload is not seen before it is whole, and leaves no file when it breaks off", async () => {
  const blobs = open();
  const gate = Promise.withResolvers<void>();
  // It may be broken off before the upload has come to it.
  gate.promise.catch(() => {});
  async function* slow() {
    yield Buffer.from("half");
    await gate.promise;
  }
  const writing = blobs.put("k/a", slow(), 4);
  for (let tries = 0; tries < 500 && !everything().some((name) => name.includes(".part-")); tries++)
    await Bun.sleep(2);
  expect(everything().filter((name) => name.includes(".part-"))).toHaveLength(1);
  expect(mode(join(folder, everything().find((name) => name.includes(".part-")) ?? ""))).toBe(0o600);
  expect(await blobs.find("k/a")).toBeUndefined();
  gate.reject(new Error("cut"));
  await expect(writing).rejects.toThrow("cut");
  expect(everything()).toEqual(["k"]);
});

test("leftovers of an earlier run are swept at the start, uploads of this one are not", async () => {
  mkdirSync(join(folder, "sessions/s/attachments"), { recursive: true });
  writeFileSync(join(folder, "sessions/s/attachments/.part-dead-0"), "half");
  writeFileSync(join(folder, ".part-dead-1"), "half");
  writeFileSync(join(folder, "sessions/s/attachments/kept.enc"), "whole");
  const blobs = open();
  const gate = Promise.withResolvers<void>();
  async function* slow() {
    yield Buffer.from("new");
    await gate.promise;
  }
  const writing = blobs.put("sessions/s/attachments/new.enc", slow(), 3);
  for (let tries = 0; tries < 500 && everything().filter((n) => n.includes(".part-")).length < 3; tries++)
    await Bun.sleep(2);
  blobs.start();
  for (let tries = 0; tries < 500 && everything().some((name) => name.includes("dead")); tries++)
    await Bun.sleep(2);
  await blobs.stop();
  gate.resolve();
  await writing;
  expect(everything()).toEqual([
    "sessions",
    "sessions/s",
    "sessions/s/attachments",
    "sessions/s/attachments/kept.enc",
    "sessions/s/attachments/new.enc",
  ]);
});

test("a disk without room refuses before anything is read or written", async () => {
  const blobs = open(2 ** 52);
  let read = false;
  function* content() {
    read = true;
    yield Buffer.from("x");
  }
  const refusal = await blobs.put("k/a", content(), 1).catch((error: unknown) => error);
  expect(refusal).toBeInstanceOf(StorageError);
  expect(refusal).toMatchObject({ code: "disk-full" });
  expect(read).toBe(false);
  expect(existsSync(join(folder, "k"))).toBe(false);
});

test("room is held for uploads under way, and given back", async () => {
  const blobs = open();
  const gate = Promise.withResolvers<void>();
  async function* slow() {
    await gate.promise;
    yield Buffer.from("x");
  }
  // More than any disk has.
  const most = Number.MAX_SAFE_INTEGER;
  await expect(blobs.put("k/a", [], most)).rejects.toBeInstanceOf(StorageError);
  const half = Math.floor(freeBytes() * 0.6);
  const first = blobs.put("k/a", slow(), half);
  await expect(blobs.put("k/b", [], half)).rejects.toBeInstanceOf(StorageError);
  gate.resolve();
  await first;
  await blobs.put("k/b", [], half);
});

function freeBytes(): number {
  const { bavail, bsize } = statfsSync(folder);
  return bavail * bsize;
}
