// A database that was closed is nobody's: whoever asks right after it, in this process or another one, finds no lock.
import { Database as Sqlite } from "bun:sqlite";
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Connection } from "./connection.ts";
import { isHeldElsewhere } from "./held-elsewhere.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "roost-connection-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function fresh(Made: typeof Sqlite): { readonly path: string; readonly sqlite: Sqlite } {
  const path = join(folder, `${crypto.randomUUID()}.db`);
  const sqlite = new Made(path, { create: true, strict: true });
  sqlite.run("PRAGMA journal_mode = WAL");
  sqlite.run("CREATE TABLE things (name TEXT)");
  return { path, sqlite };
}

test("prepared statements that somebody still has keep no lock, and throw", () => {
  const { path, sqlite } = fresh(Connection);
  const statements = [sqlite.prepare("SELECT * FROM things"), sqlite.query("SELECT name FROM things")];
  for (const statement of statements) statement.all();
  sqlite.close();
  expect(isHeldElsewhere(path)).toBe(false);
  for (const statement of statements) expect(() => statement.all()).toThrow();
});

test("what this is there for: a plain connection would keep it", () => {
  const { path, sqlite } = fresh(Sqlite);
  const statement = sqlite.prepare("SELECT * FROM things");
  statement.all();
  sqlite.close();
  expect(isHeldElsewhere(path)).toBe(true);
  statement.finalize();
  expect(isHeldElsewhere(path)).toBe(false);
});

test("statements for one use, however many, are finalized too, and a closed connection may be closed again", () => {
  const { path, sqlite } = fresh(Connection);
  const kept = Array.from({ length: 2_000 }, () => sqlite.prepare("SELECT * FROM things"));
  for (const statement of kept) statement.all();
  sqlite.close();
  sqlite.close();
  expect(isHeldElsewhere(path)).toBe(false);
});
