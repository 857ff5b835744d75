// What every store function stands on: one commit for the writes of a turn, nothing told before it is on disk, an operation that
// fails is undone alone, readers see committed rows only, one process a folder, and ids that sort by time.

import { Database as Sqlite } from "bun:sqlite";
import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/bun-sqlite";
import { createLog } from "../../src/observability/log.ts";
import { type Database, openDatabase } from "../../src/storage/database.ts";
import { StorageError } from "../../src/storage/errors.ts";
import { newId } from "../../src/storage/ids.ts";
import { lockFolder } from "../../src/storage/lock.ts";
import type { Db } from "../../src/storage/query.ts";
import { Writer } from "../../src/storage/writer.ts";

// A busy machine is slow, not wrong.
setDefaultTimeout(30_000);

const up =
  "CREATE TABLE notes (text TEXT PRIMARY KEY); CREATE TABLE marks (note TEXT NOT NULL REFERENCES notes (text));";
const migrations = [{ name: "0001_notes", up, down: "DROP TABLE marks; DROP TABLE notes;" }];

for (const commit of ["pipelined", "blocking"] as const)
  describe(`commits are ${commit}:`, () => {
    let folder: string;
    let path: string;
    let database: Database;
    beforeEach(() => {
      folder = mkdtempSync(join(tmpdir(), "roost-storage-"));
      path = join(folder, "notes.db");
      database = openDatabase({ path, migrations, log: createLog("silent"), commit });
    });
    afterEach(async () => {
      await database.close();
      rmSync(folder, { recursive: true, force: true });
    });

    const note = (text: string) => (db: Db) => {
      db.run(sql`INSERT INTO notes VALUES (${text})`);
      return text;
    };
    const notes = () =>
      database.reads
        .all<{ text: string }>(sql`SELECT text FROM notes ORDER BY rowid`)
        .map(({ text }) => text);
    const turn = () => new Promise((resolve) => setImmediate(resolve));

    test("the file is opened for durability: write-ahead log, synced commits, foreign keys", async () => {
      const pragmas = ["journal_mode", "synchronous", "foreign_keys", "query_only"];
      const read = (db: Db) =>
        pragmas.map(
          (name) => Object.values(db.get<Record<string, unknown>>(sql.raw(`PRAGMA ${name}`)) ?? {})[0],
        );
      // NORMAL where the log is synced beside it (storage/log-sync.ts), else FULL.
      const synchronous = commit === "pipelined" ? 1 : 2;
      expect(await database.writer.run(read)).toEqual(["wal", synchronous, 1, 0]);
      expect(read(database.reads)).toEqual(["wal", 2, 1, 1]);
      const broken = await database.writer
        .run((db) => db.run(sql`INSERT INTO marks VALUES ('nothing')`))
        .catch((error: unknown) => (error as Error).cause);
      expect(broken).toMatchObject({ code: "SQLITE_CONSTRAINT_FOREIGNKEY" });
      expect(() => note("by a reader")(database.reads)).toThrow();
      expect(notes()).toEqual([]);
    });

    test("all writes of one turn are one commit, those of the next another", async () => {
      const sqlite = new Sqlite(join(folder, "counted.db"), { create: true });
      sqlite.run("CREATE TABLE notes (text TEXT)");
      let commits = 0;
      const writer = new Writer({
        sqlite,
        db: drizzle({ client: sqlite }),
        log: createLog("silent"),
        onCommit: () => commits++,
      });
      await Promise.all(Array.from({ length: 100 }, (_, index) => writer.run(note(`${index}`))));
      expect(commits).toBe(1);
      await writer.run(note("next"));
      expect(commits).toBe(2);
      writer.close();
      sqlite.close();
    });

    test("readers see a change when it is committed, and its announcement comes then, before anybody is told", async () => {
      const order: string[] = [];
      const seen: Record<string, number> = {};
      const told = ["a", "b", "c"].map((text) =>
        database.writer
          .run(note(text), () => {
            order.push(`announced ${text}`);
            seen[text] = notes().length;
          })
          .then(() => order.push(`told ${text}`)),
      );
      expect(notes()).toEqual([]);
      expect(order).toEqual([]);
      await Promise.all(told);
      expect(order).toEqual(["announced a", "announced b", "announced c", "told a", "told b", "told c"]);
      expect(seen).toEqual({ a: 3, b: 3, c: 3 });
    });

    test("an operation that throws is undone whole and alone, and keeps its own error", async () => {
      const announced: string[] = [];
      const problem = new Error("of the domain");
      const outcomes = await Promise.allSettled([
        database.writer.run(note("before"), (text) => announced.push(text)),
        database.writer.run(
          (db) => {
            note("half")(db);
            throw problem;
          },
          () => announced.push("never"),
        ),
        database.writer.run((db) => [note("twice")(db), note("twice")(db)]),
        database.writer.run(note("after"), (text) => announced.push(text)),
      ]);
      expect(outcomes.map(({ status }) => status)).toEqual([
        "fulfilled",
        "rejected",
        "rejected",
        "fulfilled",
      ]);
      expect(outcomes[1]).toEqual({ status: "rejected", reason: problem });
      expect(notes()).toEqual(["before", "after"]);
      expect(announced).toEqual(["before", "after"]);
    });

    test("when the disk is full every operation of the turn is either stored or refused as such", async () => {
      const limit = (pages: string) => (db: Db) => void db.run(sql.raw(`PRAGMA max_page_count = ${pages}`));
      await database.writer.run(limit("20"));
      const large = "x".repeat(200_000);
      const outcomes = await Promise.allSettled([
        database.writer.run(note("small")),
        database.writer.run(note(large)),
        database.writer.run(note("small too")),
      ]);
      expect(outcomes[1]).toMatchObject({ status: "rejected", reason: { code: "disk-full" } });
      for (const outcome of outcomes)
        if (outcome.status === "rejected") expect(outcome.reason).toBeInstanceOf(StorageError);
      const told = outcomes.flatMap((outcome) => (outcome.status === "fulfilled" ? [outcome.value] : []));
      expect(notes()).toEqual(told);
      await database.writer.run(limit("1073741823"));
      expect(await database.writer.run(note(large))).toBe(large);
    });

    test("an announcement that fails takes nothing back and keeps nobody from theirs", async () => {
      const announced: string[] = [];
      const first = database.writer.run(note("first"), () => {
        throw new Error("no ear");
      });
      const second = database.writer.run(note("second"), (text) => announced.push(text));
      expect(await Promise.all([first, second])).toEqual(["first", "second"]);
      expect(announced).toEqual(["second"]);
      expect(notes()).toEqual(["first", "second"]);
    });

    test("an operation cannot start another one inside itself", async () => {
      let inner: Promise<unknown> | undefined;
      await database.writer.run(() => {
        inner = database.writer.run(note("inner"));
        inner.catch(() => {});
      });
      await expect(inner).rejects.toThrow("may not start another one");
      expect(notes()).toEqual([]);
    });

    test("the barrier is passed when everything before it is committed", async () => {
      let stored = false;
      void database.writer.run(note("before the barrier")).then(() => {
        stored = true;
      });
      await database.writer.barrier();
      expect(notes()).toEqual(["before the barrier"]);
      await turn();
      expect(stored).toBe(true);
    });

    test("closing stores what the turn has written, leaves no log behind, and refuses what comes later", async () => {
      const other = openDatabase({
        path: join(folder, "closing.db"),
        migrations,
        log: createLog("silent"),
        commit,
      });
      const last = other.writer.run(note("last"));
      const closing = other.close();
      expect(await last).toBe("last");
      await closing;
      const refused = await other.writer.run(note("late")).catch((error: unknown) => error);
      expect(refused).toBeInstanceOf(StorageError);
      expect((refused as StorageError).code).toBe("closed");
      using sqlite = new Sqlite(join(folder, "closing.db"), { readonly: true });
      expect(sqlite.query("SELECT text FROM notes").all()).toEqual([{ text: "last" }]);
    });

    test("a folder has one holder at a time, and the next one when that is gone", () => {
      const lock = lockFolder(folder);
      expect(() => lockFolder(folder)).toThrow(`(process ${process.pid}) is using the data folder ${folder}`);
      lock.release();
      lockFolder(folder).release();
    });
  });

test("ids sort in the order in which they were made, also when the clock stands still or steps back", () => {
  const now = Date.now() + 1_000;
  const ids = Array.from({ length: 5_000 }, (_, index) => newId(index % 3 === 0 ? now - index : now));
  expect(ids.toSorted()).toEqual(ids);
  expect(new Set(ids).size).toBe(ids.length);
  for (const id of ids.slice(0, 50)) expect(id).toMatch(/^c[a-z0-9]{24}$/);
});
