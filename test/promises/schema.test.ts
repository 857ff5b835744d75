// The tables that queries are written against are the tables that the migrations make: same names, columns, types and nulls.
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { is, sql } from "drizzle-orm";
import { getTableConfig, SQLiteTable } from "drizzle-orm/sqlite-core";
import { migrations } from "../../src/happy/store/migrations.ts";
import * as schema from "../../src/happy/store/schema.ts";
import { createLog } from "../../src/observability/log.ts";
import { openDatabase } from "../../src/storage/database.ts";

const folder = mkdtempSync(join(tmpdir(), "roost-schema-"));
const database = openDatabase({ path: join(folder, "happy.db"), migrations, log: createLog("silent") });
afterAll(async () => {
  await database.close();
  rmSync(folder, { recursive: true, force: true });
});

interface Column {
  readonly name: string;
  readonly type: string;
  readonly required: boolean;
}

interface ColumnInfo {
  readonly name: string;
  readonly type: string;
  readonly notnull: number;
  readonly pk: number;
}

const byName = (a: { name: string }, b: { name: string }) => (a.name < b.name ? -1 : 1);
const declared = Object.values(schema)
  .filter((value) => is(value, SQLiteTable))
  .map((table) => getTableConfig(table));
const real = database.reads
  .all<{ name: string }>(
    sql`SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'`,
  )
  .map(({ name }) => name);

function realColumns(table: string): Column[] {
  return database.reads
    .all<ColumnInfo>(sql`SELECT * FROM pragma_table_info(${table})`)
    .map(({ name, type, notnull, pk }) => ({
      name,
      type: type.toLowerCase(),
      required: notnull === 1 || pk > 0,
    }))
    .sort(byName);
}

test("every table of the database is declared, and no other", () => {
  expect(declared.map(({ name }) => name).sort()).toEqual(real.sort());
  expect(real.length).toBeGreaterThan(10);
});

for (const { name, columns } of declared) {
  test(`${name} has the declared columns`, () => {
    const written = columns.map((column) => ({
      name: column.name,
      type: column.getSQLType().toLowerCase(),
      required: column.notNull || column.primary,
    }));
    expect(written.sort(byName)).toEqual(realColumns(name));
  });
}

test("a row that names only what is required can be written where the declaration says that there is a default", () => {
  for (const { name, columns } of declared) {
    const defaults = database.reads
      .all<{ name: string; dflt_value: string | null }>(sql`SELECT * FROM pragma_table_info(${name})`)
      .filter(({ dflt_value }) => dflt_value !== null)
      .map((column) => column.name);
    const claimed = columns.filter((column) => column.default !== undefined).map((column) => column.name);
    expect([name, claimed.sort()]).toEqual([name, defaults.sort()]);
  }
});
