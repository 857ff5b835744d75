// Holds migrations to: a copy before each step in either direction, the first step stays, newer data refuses the way back.
import { Database } from "bun:sqlite";
import { afterEach, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { currentVersion } from "./identity.ts";
import { lockFolder } from "./lock.ts";
import { type Migration, migrate, undoLast } from "./migrations.ts";
import { changeWithSnapshot } from "./snapshot.ts";

const first: Migration = {
  name: "0001_first",
  up: "CREATE TABLE notes (text TEXT)",
  down: "DROP TABLE notes",
};
const second: Migration = {
  name: "0002_stars",
  up: "ALTER TABLE notes ADD COLUMN starred INTEGER NOT NULL DEFAULT 0",
  down: `CREATE TABLE only_while (holds INTEGER CONSTRAINT no_note_is_starred CHECK (holds = 1));
    INSERT INTO only_while SELECT NOT EXISTS (SELECT 1 FROM notes WHERE starred = 1);
    DROP TABLE only_while; ALTER TABLE notes DROP COLUMN starred`,
};

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

function fresh(): { folder: string; path: string; sqlite: Database } {
  const folder = mkdtempSync(join(tmpdir(), "roost-migrations-"));
  folders.push(folder);
  const path = join(folder, "a.db");
  const sqlite = new Database(path, { create: true, strict: true });
  sqlite.run("PRAGMA journal_mode = WAL");
  return { folder, path, sqlite };
}
const copies = (folder: string) => readdirSync(folder).filter((name) => name.endsWith(".bak"));
const columns = (sqlite: Database) =>
  sqlite
    .query<{ name: string }, []>("SELECT name FROM pragma_table_info('notes')")
    .all()
    .map(({ name }) => name);

test("down undoes the last migration after a copy, and up brings it back with the rows of before", () => {
  const { folder, path, sqlite } = fresh();
  migrate(sqlite, [first, second], path);
  sqlite.run("INSERT INTO notes (text) VALUES ('mine')");
  const report = undoLast(sqlite, [first, second], path);
  expect(report).toMatchObject({ from: 2, to: 1 });
  expect(currentVersion(sqlite, path)).toBe(1);
  expect(columns(sqlite)).toEqual(["text"]);
  expect(copies(folder)).toHaveLength(1);
  expect(statSync(join(folder, copies(folder)[0] ?? "")).mode & 0o777).toBe(0o600);
  expect(migrate(sqlite, [first, second], path)).toMatchObject({ from: 1, to: 2 });
  expect(sqlite.query("SELECT text, starred FROM notes").all()).toEqual([{ text: "mine", starred: 0 }]);
  sqlite.close();
});

test("down is refused in a sentence while newer data needs the migration, and changes nothing", () => {
  const { folder, path, sqlite } = fresh();
  migrate(sqlite, [first, second], path);
  sqlite.run("INSERT INTO notes (text, starred) VALUES ('mine', 1)");
  expect(() => undoLast(sqlite, [first, second], path)).toThrow(
    "0002_stars cannot be undone: it needs that no note is starred. Nothing was changed.",
  );
  expect(currentVersion(sqlite, path)).toBe(2);
  expect(sqlite.query("SELECT * FROM notes").all()).toEqual([{ text: "mine", starred: 1 }]);
  expect(copies(folder)).toEqual([]);
  sqlite.close();
});

test("the first migration stays", () => {
  const { folder, path, sqlite } = fresh();
  migrate(sqlite, [first], path);
  expect(() => undoLast(sqlite, [first], path)).toThrow("0001_first cannot be undone");
  expect(columns(sqlite)).toEqual(["text"]);
  expect(copies(folder)).toEqual([]);
  sqlite.close();
});

test("the three newest copies are kept", () => {
  const { folder, path, sqlite } = fresh();
  migrate(sqlite, [first, second], path);
  const made: (string | undefined)[] = [];
  for (let round = 0; round < 3; round++) {
    made.push(undoLast(sqlite, [first, second], path).snapshot);
    made.push(migrate(sqlite, [first, second], path).snapshot);
  }
  expect(
    copies(folder)
      .map((name) => join(folder, name))
      .sort(),
  ).toEqual(made.slice(-3).map(String).sort());
  sqlite.close();
});

test("a step that fails, in either direction, leaves no copy and the three that were there", () => {
  const { folder, path, sqlite } = fresh();
  const broken: Migration = { name: "0003_broken", up: "CREATE TABLE notes (x)", down: "DROP TABLE nothing" };
  migrate(sqlite, [first, second], path);
  for (let round = 0; round < 6; round++)
    expect(() => migrate(sqlite, [first, second, broken], path)).toThrow("already exists");
  expect(copies(folder)).toEqual([]);
  expect(currentVersion(sqlite, path)).toBe(2);
  for (let round = 0; round < 2; round++) {
    undoLast(sqlite, [first, second], path);
    migrate(sqlite, [first, second], path);
  }
  const kept = copies(folder);
  expect(kept).toHaveLength(3);
  for (let round = 0; round < 6; round++)
    expect(() => migrate(sqlite, [first, second, broken], path)).toThrow("already exists");
  sqlite.run("PRAGMA user_version = 3");
  expect(() => undoLast(sqlite, [first, second, broken], path)).toThrow("cannot be undone");
  expect(copies(folder)).toEqual(kept);
  sqlite.close();
});

test("the newest copy stays also when the clock has stepped back, and each database keeps its own three", () => {
  const { folder, path, sqlite } = fresh();
  migrate(sqlite, [first, second], path);
  const later = new Date(Date.now() + 86_400_000);
  for (const n of [1, 2, 3, 4])
    for (const name of ["a.db", "b.db"]) {
      writeFileSync(join(folder, `${name}.v1-${n}.bak`), "");
      utimesSync(join(folder, `${name}.v1-${n}.bak`), later, later);
    }
  const { snapshot = "" } = undoLast(sqlite, [first, second], path);
  expect(copies(folder).sort()).toEqual(
    [
      "a.db.v1-3.bak",
      "a.db.v1-4.bak",
      basename(snapshot),
      ...[1, 2, 3, 4].map((n) => `b.db.v1-${n}.bak`),
    ].sort(),
  );
  sqlite.close();
});

test("the copy is the file of before with its marks, and for the owner's eyes only from its first byte on", () => {
  const { folder, path, sqlite } = fresh();
  migrate(sqlite, [first], path);
  sqlite.run("INSERT INTO notes VALUES ('mine')");
  const mask = process.umask(0);
  let mode = 0;
  try {
    // Nothing changes the mode once it is written, so what it has then it had before.
    changeWithSnapshot(sqlite, path, 1, () => {
      const [half = ""] = readdirSync(folder).filter((name) => name.endsWith(".bak.tmp"));
      mode = statSync(join(folder, half)).mode & 0o777;
      sqlite.run("DELETE FROM notes");
    });
  } finally {
    process.umask(mask);
  }
  expect(mode).toBe(0o600);
  const [name = ""] = copies(folder);
  expect(statSync(join(folder, name)).mode & 0o777).toBe(0o600);
  using copy = new Database(join(folder, name), { readonly: true });
  expect(currentVersion(copy, name)).toBe(1);
  expect(copy.query("SELECT text FROM notes").values()).toEqual([["mine"]]);
  expect(sqlite.query("SELECT text FROM notes").values()).toEqual([]);
  sqlite.close();
});

test("who takes the folder's lock removes what a killed process left of a copy, and nothing else", () => {
  const { folder, sqlite } = fresh();
  const half = ["a.db.v1-x.bak.tmp", "a.db.v1-x.bak.tmp-journal", "b.db.v12-y.bak.tmp-wal"];
  const others = ["a.db.v1-x.bak", "notes.tmp", "a.db.bak.tmp", "roost.url.12.tmp"];
  for (const name of [...half, ...others]) writeFileSync(join(folder, name), "");
  const lock = lockFolder(folder);
  expect(readdirSync(folder)).toEqual(expect.arrayContaining(others));
  for (const name of half) expect(readdirSync(folder)).not.toContain(name);
  lock.release();
  sqlite.close();
});
