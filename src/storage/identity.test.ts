// A database in another program's format: taken over within a known range of versions, never stamped, only added to, and left as it is
// when it is too old, too new or something else.
import { Database as Sqlite } from "bun:sqlite";
import { afterEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createArchive } from "../backup/create.ts";
import { drill } from "../backup/drill.ts";
import type { KnownDatabase } from "../backup/known-database.ts";
import { restoreArchive } from "../backup/restore.ts";
import { noProgress } from "../cli/progress.ts";
import { checkDatabases } from "../doctor/this-machine.ts";
import { createLog } from "../observability/log.ts";
import { openDatabase } from "./database.ts";
import type { ForeignIdentity } from "./identity.ts";
import { type Migration, undoLast } from "./migrations.ts";

const V3 = "CREATE TABLE guests (id TEXT PRIMARY KEY, seq INTEGER NOT NULL)";
const V4 = "ALTER TABLE guests ADD COLUMN room TEXT";
const V5 = "CREATE TABLE rooms (id TEXT PRIMARY KEY)";
const unknown = { up: "SELECT 1", down: "SELECT 1" };
/** Versions 1 and 2 cannot be taken over. */
const migrations: Migration[] = [
  { name: "1", ...unknown },
  { name: "2", ...unknown },
  { name: "3", up: V3, down: "" },
  { name: "4", up: V4, down: "" },
  { name: "5", up: V5, down: "" },
];
const identity: ForeignIdentity = {
  kind: "foreign",
  format: "Inn",
  oldest: 3,
  tables: ["guests"],
  fresh: [V3, V4, V5].join(";"),
  additions: "CREATE TABLE IF NOT EXISTS roost_notes (guest TEXT PRIMARY KEY)",
};

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});
function freshFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "roost-identity-"));
  folders.push(folder);
  return folder;
}

/** A file as the other program leaves it. */
function theirs(version: number, ...statements: string[]): { dataDir: string; path: string } {
  const dataDir = freshFolder();
  const path = join(dataDir, "inn.db");
  using sqlite = new Sqlite(path, { create: true });
  for (const statement of statements) sqlite.run(statement);
  sqlite.run(`PRAGMA user_version = ${version}`);
  return { dataDir, path };
}

const open = (path: string) => openDatabase({ path, migrations, identity, log: createLog("silent") });

function header(path: string) {
  using sqlite = new Sqlite(path, { readwrite: true });
  const number = (pragma: string) =>
    sqlite.query<Record<string, number>, []>(`PRAGMA ${pragma}`).get()?.[pragma];
  return {
    version: number("user_version"),
    stamp: number("application_id"),
    vacuum: number("auto_vacuum"),
    tables: sqlite.query("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").values().flat(),
  };
}

test("a fresh file is made whole at the newest version, without our stamp", async () => {
  const path = join(freshFolder(), "inn.db");
  const database = open(path);
  expect(database.migration).toEqual({ from: 0, to: 5 });
  await database.close();
  expect(header(path)).toEqual({
    version: 5,
    stamp: 0,
    vacuum: 0,
    tables: ["guests", "rooms", "roost_notes"],
  });
});

test("an older one is brought up after a snapshot, keeps its rows, and opens again without a change", async () => {
  const { path } = theirs(3, V3, "INSERT INTO guests VALUES ('ada', 7)");
  const database = open(path);
  const { from, to, snapshot } = database.migration;
  expect([from, to]).toEqual([3, 5]);
  expect(database.reads.$client.query("SELECT * FROM guests").values()).toEqual([["ada", 7, null]]);
  await database.close();
  expect(header(snapshot ?? "")).toMatchObject({ version: 3, stamp: 0, tables: ["guests"] });
  const again = open(path);
  expect(again.migration).toEqual({ from: 5, to: 5 });
  await again.close();
  expect(header(path)).toMatchObject({ version: 5, stamp: 0 });
});

test("a file of today gets our additions, and the other program's version stays", async () => {
  const { path } = theirs(5, V3, V4, V5);
  const database = open(path);
  await database.close();
  expect(header(path)).toMatchObject({ version: 5, stamp: 0, tables: ["guests", "rooms", "roost_notes"] });
});

test.each([
  ["too old", 2, [V3], "was written by a Inn that is too old (version 2, this Roost knows 3 and later)"],
  ["too new", 6, [V3, V4, V5], "was written by a newer Inn (version 6, this one knows 5)"],
  ["something else", 4, ["CREATE TABLE birds (id)"], "is not a database of Inn"],
  ["without a version", 0, [V3], "is not a database of Inn"],
  ["one of ours", 3, [V3, "PRAGMA application_id = 1383298097"], "is not a database of Inn"],
])("%s is refused and not touched", (_, version, statements, sentence) => {
  const { path, dataDir } = theirs(version, ...statements);
  const before = readFileSync(path);
  expect(() => open(path)).toThrow(sentence);
  expect(readFileSync(path).equals(before)).toBe(true);
  expect(readdirSync(dataDir)).toEqual(["inn.db"]);
});

test("its last step is not undone: the versions are not ours", () => {
  const { path } = theirs(5, V3, V4, V5);
  using sqlite = new Sqlite(path, { readwrite: true });
  expect(() => undoLast(sqlite, migrations, path, identity)).toThrow("only that can undo them");
});

test("it is backed up, drilled, restored, and looked at by the doctor", async () => {
  const { path, dataDir } = theirs(5, V3, V4, V5, "INSERT INTO guests VALUES ('ada', 7, 'blue')");
  const database = open(path);
  const known: KnownDatabase[] = [
    {
      file: "inn.db",
      identity,
      newest: 5,
      highWater: [{ table: "guests", sql: "SELECT 'guest ' || id AS name, seq AS high FROM guests" }],
    },
  ];
  const file = join(freshFolder(), "inn.tar.zst");
  const { bounds, manifest } = await createArchive({ dataDir, file, notes: [], known, progress: noProgress });
  expect(manifest.schemaVersions).toEqual({ "inn.db": 5 });
  expect(await drill(file, bounds, known, noProgress)).toMatchObject({ ok: true, compared: 1 });
  const target = freshFolder();
  await restoreArchive({ file, dataDir: target, known, progress: noProgress });
  expect(header(join(target, "inn.db"))).toMatchObject({ version: 5, stamp: 0 });
  expect([...checkDatabases([join(target, "inn.db")])]).toMatchObject([{ result: "ok" }]);
  await database.close();
  // Who does not know the format does not restore it.
  mkdirSync(join(target, "other"));
  await expect(
    restoreArchive({ file, dataDir: join(target, "other"), known: [], progress: noProgress }),
  ).rejects.toThrow("inn.db in the archive is not a Roost database.");
});
