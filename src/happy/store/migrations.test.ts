// Each step of the database can be undone while nothing that it brought is needed, and is refused, without a trace, where it is.
import { Database as Sqlite } from "bun:sqlite";
import { expect, test } from "bun:test";
import { getTableColumns, getTableName, is } from "drizzle-orm";
import { SQLiteTable } from "drizzle-orm/sqlite-core";
import { migrations } from "./migrations.ts";
import * as schema from "./schema.ts";

const steps = migrations.slice(1).map((migration, index) => [migration.name, index + 1] as const);

function databaseAt(version: number): Sqlite {
  const sqlite = new Sqlite(":memory:", { strict: true });
  sqlite.run("PRAGMA foreign_keys = ON");
  for (const { up } of migrations.slice(0, version)) sqlite.run(up);
  return sqlite;
}

const schemaOf = (sqlite: Sqlite) =>
  sqlite.query("SELECT type, name, tbl_name FROM sqlite_schema ORDER BY name").all();
const columnsOf = (sqlite: Sqlite, table: string) =>
  sqlite
    .query<{ name: string }, [string]>("SELECT name FROM pragma_table_info(?)")
    .all(table)
    .map(({ name }) => name);

test("drizzle's tables have the columns of the migrations", () => {
  const sqlite = databaseAt(migrations.length);
  for (const table of Object.values(schema)) {
    if (!is(table, SQLiteTable)) continue;
    const columns = Object.values(getTableColumns(table)).map(({ name }) => name);
    expect([getTableName(table), ...columnsOf(sqlite, getTableName(table)).sort()]).toEqual([
      getTableName(table),
      ...columns.sort(),
    ]);
  }
});

test.each(steps)("%s can be undone and done again", (_, at) => {
  const sqlite = databaseAt(at);
  const before = schemaOf(sqlite);
  const accounts = columnsOf(sqlite, "accounts");
  sqlite.run(
    "INSERT INTO accounts (id, public_key, created_at, updated_at) VALUES ('a', 'A', 1, 1), ('b', 'B', 2, 2)",
  );
  sqlite.run(migrations[at]?.up ?? "");
  sqlite.run(migrations[at]?.down ?? "");
  expect(schemaOf(sqlite)).toEqual(before);
  expect(columnsOf(sqlite, "accounts")).toEqual(accounts);
  expect(sqlite.query("SELECT id FROM accounts").all()).toEqual([{ id: "a" }, { id: "b" }]);
  sqlite.run(migrations[at]?.up ?? "");
});

test("0003_bounds counts what accounts of an older database keep, and keeps a person's refusals apart", () => {
  const sqlite = databaseAt(2);
  for (const text of [
    "INSERT INTO accounts (pk, id, public_key, settings, created_at, updated_at) VALUES (1, 'a', 'A', 'sä', 1, 1), (2, 'b', 'B', NULL, 2, 2)",
    `INSERT INTO sessions (pk, id, account_pk, tag, metadata, last_active_at, created_at, updated_at)
     VALUES (1, 's', 1, 't', 'mm', 1, 1, 1)`,
    `INSERT INTO messages (id, session_pk, seq, local_id, content, created_at, updated_at)
     VALUES ('m', 1, 1, 'l', 'ccc', 1, 1), ('n', 1, 2, NULL, 'ä', 1, 1)`,
    "INSERT INTO machines (id, account_pk, metadata, last_active_at, created_at, updated_at) VALUES ('mm', 1, 'x', 1, 1, 1)",
    "INSERT INTO waiting_keys VALUES ('W', 'f', 'c', NULL, 1, 1), ('R', 'g', 'c', 5, 1, 2)",
    "INSERT INTO terminal_auth_requests (id, public_key, response, response_account_pk, created_at, updated_at) VALUES ('x', 'X', '', 1, 1, 1)",
  ])
    sqlite.run(text);
  sqlite.run(migrations[2]?.up ?? "");
  const kept = () => sqlite.query("SELECT account_pk, bytes, machines, access_keys FROM account_sizes").all();
  const expected = 3 + (256 + 3) + (256 + 4) + (256 + 2) + (256 + 3);
  expect(kept()).toEqual([
    { account_pk: 1, bytes: expected, machines: 1, access_keys: 0 },
    { account_pk: 2, bytes: 0, machines: 0, access_keys: 0 },
  ]);
  expect(sqlite.query("SELECT public_key FROM waiting_keys").all()).toEqual([{ public_key: "W" }]);
  expect(sqlite.query("SELECT public_key, refused_at FROM refused_keys").all()).toEqual([
    { public_key: "R", refused_at: 5 },
  ]);
  expect(sqlite.query("SELECT response, response_account_pk FROM terminal_auth_requests").all()).toEqual([
    { response: null, response_account_pk: null },
  ]);
  sqlite.run("DELETE FROM messages");
  sqlite.run("DELETE FROM sessions");
  sqlite.run("DELETE FROM machines");
  expect(kept()[0]).toMatchObject({ bytes: 3, machines: 0 });
  // Back again: the refusal is where the older version looks for it.
  sqlite.run(migrations[2]?.down ?? "");
  expect(sqlite.query("SELECT public_key, refused_at FROM waiting_keys ORDER BY public_key").all()).toEqual([
    { public_key: "R", refused_at: 5 },
    { public_key: "W", refused_at: null },
  ]);
});

test("0003_bounds is not undone over tokens that were revoked by generation, which would count again", () => {
  const sqlite = databaseAt(3);
  sqlite.run("INSERT INTO accounts (pk, id, public_key, created_at, updated_at) VALUES (1, 'a', 'A', 1, 1)");
  sqlite.run("UPDATE accounts SET tokens_generation = 7");
  const undo = sqlite.transaction(() => sqlite.run(migrations[2]?.down ?? ""));
  expect(() => undo()).toThrow("no_account_has_revoked_all_of_its_tokens");
});

test("0002_admission makes the first account of an older database the owner", () => {
  const sqlite = databaseAt(1);
  sqlite.run(
    "INSERT INTO accounts (id, public_key, created_at, updated_at) VALUES ('a', 'A', 1, 1), ('b', 'B', 2, 2)",
  );
  sqlite.run(migrations[1]?.up ?? "");
  expect(sqlite.query("SELECT id, is_owner, disabled_at FROM accounts").all()).toEqual([
    { id: "a", is_owner: 1, disabled_at: null },
    { id: "b", is_owner: 0, disabled_at: null },
  ]);
});

test.each([
  ["a disabled account", "UPDATE accounts SET disabled_at = 1"],
  ["revoked tokens", "UPDATE accounts SET tokens_valid_from = 1"],
  ["a revoked token", "INSERT INTO revoked_tokens VALUES ('t', 1, 1)"],
  ["a deleted account", "INSERT INTO removed_accounts VALUES ('x', 1)"],
])("0002_admission is not undone over %s, which would come in again", (_, shutOut) => {
  const sqlite = databaseAt(2);
  sqlite.run("INSERT INTO accounts (id, public_key, created_at, updated_at) VALUES ('a', 'A', 1, 1)");
  sqlite.run(shutOut);
  const before = schemaOf(sqlite);
  const undo = sqlite.transaction(() => sqlite.run(migrations[1]?.down ?? ""));
  expect(() => undo()).toThrow("no_account_is_disabled_or_deleted_and_no_token_revoked");
  expect(schemaOf(sqlite)).toEqual(before);
});

test("0004_archive is not undone over an archived session, which would come to life again", () => {
  const sqlite = databaseAt(migrations.length);
  sqlite.run("INSERT INTO accounts (id, public_key, created_at, updated_at) VALUES ('a', 'A', 1, 1)");
  sqlite.run(`INSERT INTO sessions (id, account_pk, tag, metadata, last_active_at, created_at, updated_at, archived_seq)
    VALUES ('s', 1, 't', 'm', 1, 1, 1, 7)`);
  const before = schemaOf(sqlite);
  const down = migrations.find(({ name }) => name === "0004_archive")?.down ?? "";
  const undo = sqlite.transaction(() => sqlite.run(down));
  expect(() => undo()).toThrow("no_session_is_archived");
  expect(schemaOf(sqlite)).toEqual(before);
  sqlite.run("UPDATE sessions SET archived_seq = NULL");
  undo();
});
