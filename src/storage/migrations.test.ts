// Holds migrations to: a copy before each step in either direction, the first step stays, newer data refuses the way back.
import { Database } from "bun:sqlite";
import { afterEach, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { currentVersion, type Migration, migrate, undoLast } from "./migrations.ts";

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
