// Holds the writer to its word while commits are not durable yet: nobody hears of a change before the sync that covers it, everything that
// may tell of one waits with it, the next transactions go on meanwhile, and a stop leaves nobody without an answer. Syncs end when the
// test says so.
import { Database } from "bun:sqlite";
import { afterEach, beforeEach, expect, setDefaultTimeout, spyOn, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/bun-sqlite";
import { createLog } from "../observability/log.ts";
import { StorageError } from "./errors.ts";
import type { Db } from "./query.ts";
import { MAX_UNSYNCED, MAX_UNSYNCED_BYTES } from "./unsynced.ts";
import { Writer, type WriterParts } from "./writer.ts";

// A busy machine is slow, not wrong.
setDefaultTimeout(30_000);

let folder: string;
let sqlite: Database;
let reader: Database;
let said: string[];
let syncs: PromiseWithResolvers<void>[];
let refusal: Error | undefined;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "roost-writer-sync-"));
  sqlite = new Database(join(folder, "a.db"), { create: true });
  sqlite.run("PRAGMA journal_mode = WAL");
  sqlite.run("PRAGMA synchronous = NORMAL");
  sqlite.run("PRAGMA busy_timeout = 0");
  sqlite.run("CREATE TABLE notes (text TEXT UNIQUE)");
  reader = new Database(join(folder, "a.db"), { readwrite: true });
  said = [];
  syncs = [];
  refusal = undefined;
});
afterEach(() => {
  reader.close();
  sqlite.close();
  rmSync(folder, { recursive: true, force: true });
});

const heldSync = {
  sync: () => {
    const sync = Promise.withResolvers<void>();
    syncs.push(sync);
    return sync.promise;
  },
  now: () => {
    said.push("now");
    if (refusal !== undefined) throw refusal;
  },
};
const writerWith = (parts: Partial<WriterParts> = {}) =>
  new Writer({
    sqlite,
    db: drizzle({ client: sqlite }),
    log: createLog("silent"),
    name: "a.db",
    syncs: heldSync,
    ...parts,
  });
const insert = (text: string) => (db: Db) => {
  db.run(sql`INSERT INTO notes VALUES (${text})`);
  return text;
};
const notes = () =>
  reader
    .query<{ text: string }, []>("SELECT text FROM notes ORDER BY rowid")
    .all()
    .map(({ text }) => text);
const turn = () => new Promise((resolve) => setImmediate(resolve));
const end = async () => {
  syncs.shift()?.resolve();
  await turn();
};
/** Everything that becomes of it is noted. */
const follow = (name: string, promise: Promise<unknown>) =>
  promise.then(
    () => said.push(`${name} done`),
    (error: unknown) => said.push(`${name} ${error instanceof StorageError ? error.code : "refused"}`),
  );
const write = (writer: Writer, text: string, holds?: unknown) =>
  follow(
    text,
    writer.run(insert(text), () => said.push(`${text} announced`), { holds }),
  );

test("the next transactions commit while one is synced, and each is told by a sync of its own, in order", async () => {
  const writer = writerWith();
  write(writer, "a");
  write(writer, "b");
  await turn();
  write(writer, "c");
  await turn();
  expect([notes(), said, syncs.length, writer.depth]).toEqual([["a", "b", "c"], [], 1, 3]);
  await end();
  expect([said.splice(0), syncs.length, writer.depth]).toEqual([
    ["a announced", "b announced", "a done", "b done"],
    1,
    1,
  ]);
  await end();
  expect([said, writer.depth]).toEqual([["c announced", "c done"], 0]);
  writer.close();
});

test("what an operation throws may tell of a change before it: it waits with its group", async () => {
  const writer = writerWith();
  write(writer, "a");
  await turn();
  write(writer, "a");
  await turn();
  expect(said).toEqual([]);
  await end();
  // Nothing of its own had to be synced.
  expect([said.splice(0), syncs.length]).toEqual([["a announced", "a done", "a refused"], 0]);
  write(writer, "a");
  await turn();
  expect([said, syncs.length]).toEqual([["a refused"], 0]);
  writer.close();
});

test("what the disk refuses is refused at once, because it tells of nothing", async () => {
  const writer = writerWith();
  write(writer, "a");
  await turn();
  const full = Object.assign(new Error("full"), { code: "SQLITE_FULL" });
  follow(
    "b",
    writer.run(() => {
      throw full;
    }),
  );
  await null;
  await null;
  expect(said).toEqual(["b disk-full"]);
  await end();
  writer.close();
});

test("a barrier waits for what is not durable, whoever wrote it, and needs no sync of its own", async () => {
  const writer = writerWith();
  follow("early barrier", writer.barrier());
  await turn();
  expect([said.splice(0), syncs.length]).toEqual([["early barrier done"], 0]);
  write(writer, "a");
  follow("barrier in the turn", writer.barrier({}));
  await turn();
  follow("barrier", writer.barrier());
  follow("barrier of a sender", writer.barrier({}));
  await turn();
  expect(said).toEqual([]);
  await end();
  expect([said.toSorted(), syncs.length]).toEqual([
    ["a announced", "a done", "barrier done", "barrier in the turn done", "barrier of a sender done"],
    0,
  ]);
  writer.close();
});

test("while another program holds the lock, a barrier of somebody else waits for the disk only", async () => {
  const writer = writerWith();
  const [phone, cli] = [{}, {}];
  write(writer, "a");
  await turn();
  reader.run("BEGIN IMMEDIATE");
  follow("b", writer.run(insert("b"), undefined, { sender: cli }));
  follow("barrier of the phone", writer.barrier(phone));
  follow("barrier of the CLI", writer.barrier(cli));
  await turn();
  expect(said).toEqual([]);
  await end();
  expect(said.splice(0)).toEqual(["a announced", "a done", "barrier of the phone done"]);
  reader.run("ROLLBACK");
  writer.close();
  await turn();
  expect(said).toEqual(["now", "b done", "barrier of the CLI done"]);
});

test("closing syncs what is not durable, also while a sync is under way, and tells everybody", async () => {
  const writer = writerWith();
  write(writer, "a");
  await turn();
  write(writer, "b");
  writer.close();
  await turn();
  expect(said).toEqual(["now", "a announced", "b announced", "a done", "b done"]);
  await end();
  expect(said).toHaveLength(5);
});

test("when too much waits for the disk, the next commit waits for it itself", async () => {
  const writer = writerWith();
  write(writer, "a");
  await turn();
  const half = { content: "x".repeat(MAX_UNSYNCED_BYTES / 2) };
  write(writer, "b", [half]);
  await turn();
  expect(said).toEqual([]);
  write(writer, "c", [half, half]);
  await turn();
  expect(said.filter((what) => !what.endsWith("announced"))).toEqual(["now", "a done", "b done", "c done"]);
  said = [];
  for (let n = 0; n <= MAX_UNSYNCED; n++) void writer.run(() => n);
  await turn();
  expect([said, writer.depth]).toEqual([["now"], 0]);
  await end();
  writer.close();
});

test("a sync that fails refuses what is not durable, what is under way, what waits and what comes", async () => {
  const told: unknown[] = [];
  const error = new StorageError("unsynced", "the disk is broken");
  const writer = writerWith({
    syncFailed: (cause) => {
      told.push(cause);
      return error;
    },
  });
  write(writer, "a");
  await turn();
  write(writer, "b");
  await turn();
  write(writer, "c");
  const cause = new Error("EIO");
  syncs.shift()?.reject(cause);
  await null;
  await null;
  write(writer, "d");
  await turn();
  expect([said.toSorted(), told]).toEqual([
    ["a unsynced", "b unsynced", "c unsynced", "d unsynced"],
    [cause],
  ]);
  expect([syncs.length, writer.depth]).toEqual([0, 0]);
  // Readers still see what was refused.
  expect(notes()).toEqual(["a", "b"]);
  await expect(writer.durable() ?? Promise.resolve()).rejects.toBe(error);
  writer.close();
  expect(said).not.toContain("now");
});

test("the same when it fails as the writer closes", async () => {
  const writer = writerWith({ syncFailed: () => new StorageError("unsynced", "the disk is broken") });
  refusal = new Error("EIO");
  write(writer, "a");
  writer.close();
  await turn();
  expect(said).toEqual(["now", "a unsynced"]);
});

test("when the files are lost while a sync is under way, nothing that waits for it is told", async () => {
  const writer = writerWith();
  write(writer, "a");
  await turn();
  const seen = follow("a reader", writer.durable() ?? Promise.resolve());
  writer.lose(new StorageError("replaced", "gone"));
  await seen;
  await end();
  expect(said.toSorted()).toEqual(["a reader replaced", "a replaced"]);
  writer.close();
});

test("a sync that does not come back is noticed as what only a restart mends", async () => {
  const writer = writerWith();
  write(writer, "a");
  await turn();
  expect(writer.isStuck).toBe(false);
  const now = performance.now();
  const clock = spyOn(performance, "now").mockReturnValue(now + 21_000);
  try {
    expect(writer.isStuck).toBe(true);
    await end();
    expect(writer.isStuck).toBe(false);
  } finally {
    clock.mockRestore();
  }
  writer.close();
});
