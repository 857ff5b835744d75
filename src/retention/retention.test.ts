// Holds the sweep of files, the room that is given back, the measurement and the server's own round to their promises.
import { Database as Sqlite } from "bun:sqlite";
import { afterEach, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createLog } from "../observability/log.ts";
import { openDatabase } from "../storage/database.ts";
import { Quota } from "../storage/quota.ts";
import type { BlobOwner, BlobOwners } from "./blob-owners.ts";
import { sweepFiles, type Unwanted, unwantedFiles } from "./blob-sweep.ts";
import { releaseFreePages } from "./free-pages.ts";
import { StorageGauge } from "./gauge.ts";
import { RetentionJob } from "./job.ts";
import type { Retention } from "./retention.ts";
import { SweepJob } from "./sweep-job.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const log = createLog("silent");

const undo: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of undo.splice(0).toReversed()) await step();
});

function freshFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "roost-retention-"));
  undo.push(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

function file(folder: string, name: string, ageMs: number, bytes = 10): string {
  const path = join(folder, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, new Uint8Array(bytes));
  const at = new Date(Date.now() - ageMs);
  utimesSync(path, at, at);
  utimesSync(dirname(path), at, at);
  return path;
}

const owners: Record<string, BlobOwner> = {
  here: { account: "ada", isLeaving: false },
  leaving: { account: "bob", isLeaving: true },
};
const ownerOf = (session: string) => owners[session];
const attachments = (before?: number, counted?: BlobOwners["counted"]): BlobOwners[] => [
  {
    folder: "sessions",
    kind: "attachments",
    ownerOf,
    filesBefore: () => before,
    ...(counted && { counted }),
  },
];

function blobs() {
  const folder = freshFolder();
  const paths = {
    old: file(folder, "sessions/here/attachments/old.enc", 40 * DAY_MS, 11),
    young: file(folder, "sessions/here/attachments/young.enc", DAY_MS),
    leaving: file(folder, "sessions/leaving/attachments/a.enc", DAY_MS, 12),
    orphan: file(folder, "sessions/gone/attachments/a.enc", 2 * HOUR_MS, 13),
    justMade: file(folder, "sessions/new/attachments/a.enc", 0),
    leftover: file(folder, "sessions/here/attachments/.part-1-0", 2 * HOUR_MS, 14),
    uploading: file(folder, "sessions/here/attachments/.part-2-0", 0),
    avatar: file(folder, "public/users/x/avatars/a.png", 400 * DAY_MS),
  };
  return { folder, paths };
}

test("what would go is named with its owner, and nothing is touched by asking", async () => {
  const { folder, paths } = blobs();
  const found: Unwanted[] = [];
  const options = { folder, now: Date.now(), owners: attachments(Date.now() - 30 * DAY_MS) };
  for await (const one of unwantedFiles(options)) found.push(one);
  expect(found.sort((a, b) => a.bytes - b.bytes)).toEqual([
    { kind: "attachments", account: "ada", path: paths.old, bytes: 11 },
    { kind: "attachments", account: "bob", path: paths.leaving, bytes: 12 },
    { kind: "orphaned files", account: undefined, path: paths.orphan, bytes: 13 },
    { kind: "leftovers of uploads", account: undefined, path: paths.leftover, bytes: 14 },
  ]);
  expect(Object.values(paths).every((path) => existsSync(path))).toBe(true);
});

test("a sweep removes exactly that, and the empty folders of sessions that are gone", async () => {
  const { folder, paths } = blobs();
  const bare = join(folder, "sessions/empty");
  mkdirSync(bare);
  const at = new Date(Date.now() - DAY_MS);
  utimesSync(bare, at, at);
  await sweepFiles({ folder, now: Date.now(), owners: attachments() }, () => {});
  const there = Object.entries(paths).flatMap(([name, path]) => (existsSync(path) ? [name] : []));
  expect(there).toEqual(["old", "young", "justMade", "uploading", "avatar"]);
  expect(existsSync(bare)).toBe(false);
});

test("a folder of blobs that is not there is swept without a word", async () => {
  const options = { folder: join(freshFolder(), "none"), now: 0, owners: attachments(1) };
  await sweepFiles(options, () => expect.unreachable());
});

function database() {
  const path = join(freshFolder(), "a.db");
  const up = "CREATE TABLE notes (pk INTEGER PRIMARY KEY, text TEXT)";
  const opened = openDatabase({ path, migrations: [{ name: "0001", up, down: "" }], log });
  undo.push(() => opened.close());
  const fill = async (rows: number) => {
    for (let n = 0; n < rows; n++)
      await opened.writer.run((db) => db.run(`INSERT INTO notes (text) VALUES ('${"x".repeat(4000)}')`));
  };
  return { path, opened, fill };
}

test("the room of deleted rows goes back to the file system in slices, and can be cut short", async () => {
  const { path, opened, fill } = database();
  await fill(1000);
  await opened.writer.run((db) => db.run("DELETE FROM notes"));
  let pauses = 0;
  await releaseFreePages(opened, async () => ++pauses < 3);
  expect(pauses).toBe(3);
  const bytes = await releaseFreePages(opened, async () => true);
  expect(bytes).toBeGreaterThan(2_000_000);
  using outside = new Sqlite(path, { readwrite: true });
  outside.run("PRAGMA wal_checkpoint(TRUNCATE)");
  expect(statSync(path).size).toBeLessThan(1_500_000);
  expect(outside.query("PRAGMA integrity_check").values()).toEqual([["ok"]]);
});

test("the measurement counts databases without their free pages, and blobs", async () => {
  const { opened, fill } = database();
  const { folder } = blobs();
  const quota = new Quota(() => 2 ** 40);
  const gauge = new StorageGauge({ quota, databases: [opened], folders: [folder], log });
  await gauge.measure();
  expect(quota.blobBytes).toBe(11 + 12 + 13 + 14 + 4 * 10);
  const empty = quota.databaseBytes;
  await fill(100);
  await gauge.measure();
  expect(quota.databaseBytes - empty).toBeGreaterThan(400_000);
  await opened.writer.run((db) => db.run("DELETE FROM notes"));
  await gauge.measure();
  expect(quota.databaseBytes - empty).toBeLessThan(50_000);
  await gauge.stop();
});

test("blobs that went away are noticed by the next look", async () => {
  const { folder, paths } = blobs();
  const quota = new Quota(() => 2 ** 40);
  const gauge = new StorageGauge({ quota, databases: [], folders: [folder], log });
  await gauge.measure();
  rmSync(paths.old);
  await gauge.measure();
  expect(quota.blobBytes).toBe(90);
  gauge.removed();
  const end = Date.now() + 10_000;
  while (quota.blobBytes !== 79 && Date.now() < end) {
    await Bun.sleep(50);
    await gauge.measure();
  }
  expect(quota.blobBytes).toBe(79);
  await gauge.stop();
});

const retentionOf = (run: Retention["run"]): Retention => ({
  kinds: ["things"],
  shortestMs: () => 7 * DAY_MS,
  newest: async () => undefined,
  plan: async () => [],
  run,
});

test("a round asks by the time of now, tells what went, and a failed one is tried again", async () => {
  const asked: (number | undefined)[] = [];
  const lines: string[] = [];
  const job = new RetentionJob({
    retention: retentionOf(async ({ now }) => {
      asked.push(now);
      if (asked.length === 2) throw new Error("the disk");
      return { things: 3 };
    }),
    clock: { doubt: async () => undefined },
    log: createLog("info", { write: (line: string) => lines.push(line) }),
  });
  const now = Date.now();
  for (let round = 0; round < 3; round++) await job.run();
  await job.stop();
  expect(asked.map((at) => Math.abs((at ?? 0) - now) < 5_000)).toEqual([true, true, true]);
  expect(lines.map((line) => JSON.parse(line))).toMatchObject([
    { level: 30, things: 3, msg: "deleted what is older than is kept" },
    { level: 40, msg: "old things could not all be deleted" },
    { level: 30, things: 3 },
  ]);
});

test("a round whose clock cannot be believed judges nothing by its age, and says so", async () => {
  const asked: (number | undefined)[] = [];
  const lines: string[] = [];
  const job = new RetentionJob({
    retention: retentionOf(async ({ now }) => {
      asked.push(now);
      return { things: 0 };
    }),
    clock: { doubt: async () => ({ now: Date.now(), known: Date.now() - 365 * DAY_MS }) },
    log: createLog("info", { write: (line: string) => lines.push(line) }),
  });
  await job.run();
  await job.stop();
  expect(asked).toEqual([undefined]);
  expect(lines.map((line) => JSON.parse(line))).toMatchObject([
    { level: 40, msg: expect.stringContaining("Nothing is deleted by its age") },
  ]);
});

function sweeping(isNowBelieved: boolean) {
  const { opened } = database();
  const dataDir = freshFolder();
  const paths = {
    orphan: file(dataDir, "files/sessions/gone/attachments/a.enc", 2 * HOUR_MS),
    attachment: file(dataDir, "files/sessions/here/attachments/a.enc", 400 * DAY_MS),
  };
  const counted: string[] = [];
  const told = { removals: 0, counted };
  const job = new SweepJob({
    config: { dataDir, s3Host: undefined },
    databases: [opened],
    owners: attachments(undefined, async (session) => void counted.push(session)),
    isNowBelieved: async () => isNowBelieved,
    onRemoved: () => told.removals++,
    log,
  });
  return { job, paths, told };
}

test("the server sweeps what nobody can reach, and does so every six hours only", async () => {
  const { job, paths, told } = sweeping(true);
  await job.run();
  await job.run();
  await job.stop();
  expect([existsSync(paths.orphan), existsSync(paths.attachment), told]).toEqual([
    false,
    true,
    { removals: 1, counted: ["here"] },
  ]);
});

test("a sweep whose clock cannot be believed removes nothing, and still counts what is there", async () => {
  const { job, paths, told } = sweeping(false);
  await job.run();
  await job.stop();
  expect([existsSync(paths.orphan), existsSync(paths.attachment), told]).toEqual([
    true,
    true,
    { removals: 0, counted: ["here"] },
  ]);
});
