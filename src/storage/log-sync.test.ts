// Holds the sync of the log to what makes it sound: it opens the file that SQLite writes and no other, it drops none of SQLite's locks, its
// two descriptors do not hide a failed write from each other, and it is closed under no sync.
import { Database } from "bun:sqlite";
import { afterEach, beforeEach, expect, setDefaultTimeout, test } from "bun:test";
import {
  closeSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { holdsDatabase, kernelLocks } from "../../test/support/kernel-locks.ts";
import { onLinux } from "../../test/support/needs.ts";
import { createLog } from "../observability/log.ts";
import { openDatabase } from "./database.ts";
import { APPLICATION_ID } from "./identity.ts";
import { LiveFiles } from "./live-files.ts";
import { LogSync } from "./log-sync.ts";
import type { Syncing } from "./sync-call.ts";

// A busy machine is slow, not wrong.
setDefaultTimeout(30_000);

let folder: string;
let path: string;
let sqlite: Database;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "roost-log-sync-"));
  path = join(folder, "a.db");
  sqlite = new Database(path, { create: true });
  sqlite.run("PRAGMA journal_mode = WAL");
  sqlite.run("PRAGMA synchronous = NORMAL");
  sqlite.run("CREATE TABLE notes (text TEXT)");
});
afterEach(() => {
  sqlite.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Descriptors of this process that are open on the log. */
const openLogs = () =>
  readdirSync("/proc/self/fd").filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`) === `${path}-wal`;
    } catch {
      return false;
    }
  });

onLinux.test(
  "the log carries no lock, and closing its descriptors drops none of the database's",
  async () => {
    const held = () => holdsDatabase(path, process.pid);
    sqlite.query("SELECT * FROM notes").all();
    const before = openLogs();
    const log = new LogSync(path, new LiveFiles(path));
    sqlite.run("INSERT INTO notes VALUES ('a')");
    await log.sync();
    log.now();
    // The instrument: SQLite's locks can be seen.
    expect([held(), kernelLocks(`${path}-wal`, process.pid), openLogs().length]).toEqual([
      true,
      [],
      before.length + 2,
    ]);
    await log.close();
    expect([held(), openLogs()]).toEqual([true, before]);
    // A lock that is needed for a moment only is there too: another process cannot write meanwhile.
    sqlite.run("BEGIN IMMEDIATE");
    const script = `const db = new (require("bun:sqlite").Database)(process.argv[1]); db.run("BEGIN IMMEDIATE");`;
    const other = Bun.spawnSync([process.execPath, "-e", script, path]);
    expect([other.exitCode, `${other.stderr}`]).toEqual([1, expect.stringContaining("database is locked")]);
    sqlite.run("ROLLBACK");
  },
);

test("a log that is not the one that was opened is refused, and nothing stays open", () => {
  const files = new LiveFiles(path);
  renameSync(`${path}-wal`, `${path}-moved`);
  writeFileSync(`${path}-wal`, "another one");
  expect(() => new LogSync(path, files)).toThrow("a.db-wal was replaced");
  rmSync(`${path}-wal`);
  expect(() => new LogSync(path, files)).toThrow(`The log ${path}-wal cannot be opened`);
  renameSync(`${path}-moved`, `${path}-wal`);
  if (process.platform === "linux") expect(openLogs()).toHaveLength(1);
});

/** Ends when it is told to, and remembers which descriptors it was given. */
function heldSyncing() {
  const begun: PromiseWithResolvers<void>[] = [];
  const given: Record<"sync" | "now", number[]> = { sync: [], now: [] };
  const syncing: Syncing = {
    sync: (descriptor) => {
      given.sync.push(descriptor);
      const one = Promise.withResolvers<void>();
      begun.push(one);
      return one.promise;
    },
    now: (descriptor) => void given.now.push(descriptor),
    stop: () => {},
  };
  return { begun, given, syncing };
}

test("a sync on the event loop has a descriptor of its own, on which the kernel tells it of every failed write", async () => {
  const { begun, given, syncing } = heldSyncing();
  const log = new LogSync(path, new LiveFiles(path), syncing);
  const first = log.sync();
  log.now();
  begun[0]?.resolve();
  await first;
  const second = log.sync();
  begun[1]?.resolve();
  await second;
  const [[one, two], [other]] = [given.sync, given.now];
  expect([one === two, one === other]).toEqual([true, false]);
  await log.close();
});

onLinux.test("closing waits for a sync that is under way, also for one that fails", async () => {
  for (const problem of [undefined, new Error("EIO")]) {
    const { begun, syncing } = heldSyncing();
    const log = new LogSync(path, new LiveFiles(path), syncing);
    const sync = log.sync().catch((error: unknown) => error);
    const closing = log.close();
    await new Promise((resolve) => setImmediate(resolve));
    expect(openLogs()).toHaveLength(3);
    if (problem === undefined) begun[0]?.resolve();
    else begun[0]?.reject(problem);
    await closing;
    expect(openLogs()).toHaveLength(1);
    expect(await sync).toBe(problem);
  }
});

onLinux.test("closing twice closes nothing of somebody else's", async () => {
  const log = new LogSync(path, new LiveFiles(path));
  await log.close();
  const others = [openSync(join(folder, "b"), "w"), openSync(join(folder, "c"), "w")];
  await log.close();
  for (const other of others) closeSync(other);
});

onLinux.test("a database opens the log twice beside SQLite, and closes it", async () => {
  const other = join(folder, "other.db");
  path = other;
  const up = "CREATE TABLE notes (text TEXT)";
  const database = openDatabase({
    path: other,
    migrations: [{ name: "1", up, down: "" }],
    log: createLog("silent"),
  });
  const [sqlites, ours] = [2, 2];
  expect(openLogs()).toHaveLength(sqlites + ours);
  await database.close();
  expect(openLogs()).toEqual([]);
});

for (const commit of ["pipelined", "blocking"] as const)
  test(`what a killed process has left in the log is synced before anybody can read it, and moved: ${commit}`, async () => {
    const left = join(folder, "left.db");
    const script = `
      const db = new (require("bun:sqlite").Database)(process.argv[1], { create: true });
      db.run("PRAGMA journal_mode = WAL");
      db.run("PRAGMA application_id = ${APPLICATION_ID}");
      db.run("PRAGMA wal_checkpoint(TRUNCATE)");
      db.run("PRAGMA synchronous = NORMAL");
      db.run("CREATE TABLE notes (text TEXT)");
      db.run("INSERT INTO notes VALUES (?)", "x".repeat(100_000));
      db.run("PRAGMA user_version = 1");
      process.kill(process.pid, "SIGKILL");`;
    Bun.spawnSync([process.execPath, "-e", script, left]);
    const before = statSync(left).size;
    expect(statSync(`${left}-wal`).size).toBeGreaterThan(100_000);
    const { given, syncing } = heldSyncing();
    const migrations = [{ name: "1", up: "CREATE TABLE notes (text TEXT)", down: "" }];
    const database = openDatabase({ path: left, migrations, log: createLog("silent"), commit, syncing });
    expect(given.now).toHaveLength(1);
    expect(statSync(left).size).toBeGreaterThan(before + 100_000);
    await database.close();
  });
