// Holds the sweep of files, the room that is given back, the measurement and the server's own round to their promises.
import { Database as Sqlite } from "bun:sqlite";
import { afterEach, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createLog } from "../observability/log.ts";
import { openDatabase } from "../storage/database.ts";
import { Quota } from "../storage/quota.ts";
import { type SessionOwner, sweepFiles, type Unwanted, unwantedFiles } from "./blob-sweep.ts";
import { releaseFreePages } from "./free-pages.ts";
import { StorageGauge } from "./gauge.ts";
import { RetentionJob } from "./job.ts";
import { cutoffs, hasRules } from "./rules.ts";

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

const owners: Record<string, SessionOwner> = {
  here: { account: "ada", isLeaving: false },
  leaving: { account: "bob", isLeaving: true },
};
const ownerOf = (session: string) => owners[session];

test("days become moments, and 0 keeps everything", () => {
  const limits = cutoffs(
    {
      retentionSessionsDays: 2,
      retentionMessagesDays: 0,
      retentionAttachmentsDays: 1,
      retentionUsageDays: 0,
      retentionFeedDays: 0,
    },
    10 * DAY_MS,
  );
  expect(limits).toEqual({
    sessions: 8 * DAY_MS,
    messages: undefined,
    attachments: 9 * DAY_MS,
    usage: undefined,
    feed: undefined,
  });
  expect([hasRules(limits), hasRules({ ...limits, sessions: undefined, attachments: undefined })]).toEqual([
    true,
    false,
  ]);
});

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
  const options = { folder, now: Date.now(), attachmentsBefore: Date.now() - 30 * DAY_MS, ownerOf };
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
  await sweepFiles({ folder, now: Date.now(), attachmentsBefore: undefined, ownerOf }, () => {});
  const there = Object.entries(paths).flatMap(([name, path]) => (existsSync(path) ? [name] : []));
  expect(there).toEqual(["old", "young", "justMade", "uploading", "avatar"]);
  expect(existsSync(bare)).toBe(false);
});

test("a folder of blobs that is not there is swept without a word", async () => {
  const options = { folder: join(freshFolder(), "none"), now: 0, attachmentsBefore: 1, ownerOf };
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
  const gauge = new StorageGauge({ quota, databases: [opened], blobFolder: folder, log });
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
  const gauge = new StorageGauge({ quota, databases: [], blobFolder: folder, log });
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

test("the server's round applies the limits it reads then, sweeps, and tells who has to know", async () => {
  const { opened } = database();
  const dataDir = freshFolder();
  const orphan = file(dataDir, "files/sessions/gone/attachments/a.enc", 2 * HOUR_MS);
  const config = {
    dataDir,
    s3Host: undefined,
    retentionSessionsDays: 0,
    retentionMessagesDays: 0,
    retentionAttachmentsDays: 0,
    retentionUsageDays: 0,
    retentionFeedDays: 0,
  };
  const asked: (number | undefined)[] = [];
  let removals = 0;
  const job = new RetentionJob({
    config,
    databases: [opened],
    clock: { doubt: () => undefined },
    forgetOld: async ({ sessions }) => {
      asked.push(sessions);
      return {};
    },
    ownerOf,
    counted: async () => {},
    onRemoved: () => removals++,
    log,
  });
  await job.run();
  expect([asked, existsSync(orphan), removals]).toEqual([[], false, 1]);
  config.retentionSessionsDays = 7;
  const now = Date.now();
  await job.run();
  expect(asked).toHaveLength(1);
  expect(Math.abs((asked[0] ?? 0) - (now - 7 * DAY_MS))).toBeLessThan(5_000);
  await job.stop();
});

test("a round whose clock cannot be believed deletes nothing, says so, and still counts what is there", async () => {
  const { opened } = database();
  const dataDir = freshFolder();
  const orphan = file(dataDir, "files/sessions/gone/attachments/a.enc", 2 * HOUR_MS);
  const attachment = file(dataDir, `files/sessions/here/attachments/a.enc`, 400 * DAY_MS);
  const lines: string[] = [];
  const counted: string[] = [];
  const job = new RetentionJob({
    config: {
      dataDir,
      s3Host: undefined,
      retentionSessionsDays: 7,
      retentionMessagesDays: 7,
      retentionAttachmentsDays: 7,
      retentionUsageDays: 7,
      retentionFeedDays: 7,
    },
    databases: [opened],
    clock: { doubt: () => ({ now: Date.now(), known: Date.now() - 365 * DAY_MS }) },
    forgetOld: () => Promise.reject(new Error("asked to delete")),
    ownerOf,
    counted: async (session) => void counted.push(session),
    onRemoved: () => {},
    log: createLog("info", { write: (line: string) => lines.push(line) }),
  });
  await job.run();
  await job.stop();
  expect([existsSync(orphan), existsSync(attachment), counted]).toEqual([true, true, ["here"]]);
  expect(lines.map((line) => JSON.parse(line))).toMatchObject([
    { level: 40, msg: expect.stringContaining("Nothing is deleted by its age") },
  ]);
});
