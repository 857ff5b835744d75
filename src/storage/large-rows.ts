// Single rows whose values may be large: what is large by itself stays in the database until it is written (stored-value.ts).
import { type AnyColumn, and, eq, getTableColumns, type SQL, sql } from "drizzle-orm";
import type { AnySQLiteColumn, SQLiteTable } from "drizzle-orm/sqlite-core";
import { type Db, prepared } from "./query.ts";
import { StoredValue } from "./stored-value.ts";

/** A larger value is written piece by piece. */
const INLINE_BYTES = 256 * 1024;

/** A row in which some texts (or bytes) may still be in the database. */
export type Light<Row, Large extends keyof Row> = {
  [K in keyof Row]: K extends Large ? Row[K] | StoredValue : Row[K];
};

/** Each large column with the column that counts its versions; null for a value that never changes. */
export type LargeColumns<Row> = { readonly [K in keyof Row]?: (keyof Row & string) | null };

export type Keyed = SQLiteTable & { readonly pk: AnySQLiteColumn; readonly id: AnySQLiteColumn };

/**
 * Tells a row from every other, also from one that gets its key once it is deleted: the database gives keys away again, and what is read
 * in several turns would go on with that one, which may be another account's. An id alone may be chosen by clients.
 */
export function identityOf(table: Keyed): SQL<string> {
  const { accountPk } = getTableColumns(table as SQLiteTable);
  return accountPk === undefined ? sql<string>`${table.id}` : sql<string>`${accountPk} || ' ' || ${table.id}`;
}

/** Bytes of columns as they are stored, told by the row's header: no value is read. */
export function weightOf(...columns: AnyColumn[]): SQL<number> {
  return sql.join(
    columns.map((column) => sql`coalesce(octet_length(${column}), 0)`),
    sql` + `,
  ) as SQL<number>;
}

/**
 * Reads one row by its key; values of `large` columns that are large stay in the database. With an identity only the row that has it.
 * @example const light = lightRow(documents, { title: "titleVersion", text: "textVersion" });
 *          light(db, pk)?.text; // text, or a StoredValue
 */
export function lightRow<T extends Keyed, const L extends LargeColumns<T["$inferSelect"]>>(
  table: T,
  large: L,
  /** Columns that are not read. */
  omit: readonly string[] = [],
): (
  db: Db,
  pk: number,
  identity?: string,
) => Light<T["$inferSelect"], keyof L & keyof T["$inferSelect"]> | undefined {
  type Row = T["$inferSelect"];
  const columns = columnsOf(table, omit);
  const values = Object.entries(large).map(([name, versionName]) => {
    const column = columns[name];
    if (column === undefined) throw new Error(`there is no column ${name}`);
    const version = typeof versionName === "string" ? versionName : undefined;
    const as: "text" | "base64" = column.dataType === "string" ? "text" : "base64";
    return { name, column, version, as, piece: pieceOf(table, column, version && columns[version]) };
  });
  const select = prepared((db) => {
    const fields: Record<string, AnySQLiteColumn | SQL> = { ...columns, [IDENTITY]: identityOf(table) };
    for (const { name, column } of values) {
      fields[name] =
        sql`CASE WHEN octet_length(${column}) <= ${sql.raw(`${INLINE_BYTES}`)} THEN ${column} END`;
      fields[weightName(name)] = weightOf(column);
    }
    return db
      .select(fields)
      .from(table as SQLiteTable)
      .where(eq(table.pk, sql.placeholder("pk")))
      .prepare();
  });
  return (db, pk, wanted) => {
    const row = select(db).get({ pk }) as Record<string, unknown> | undefined;
    if (row === undefined) return undefined;
    const identity = row[IDENTITY];
    delete row[IDENTITY];
    if (wanted !== undefined && wanted !== identity) return undefined;
    for (const { name, version, as, piece } of values) {
      const bytes = row[weightName(name)] as number;
      delete row[weightName(name)];
      if (bytes <= INLINE_BYTES) continue;
      const expected = version && row[version];
      row[name] = new StoredValue(bytes, as, async (offset, count) => {
        const found = piece(db).get({ pk, identity, version: expected, offset: offset + 1, count });
        return found?.piece as Uint8Array | undefined;
      });
    }
    return row as Light<Row, keyof L & keyof Row>;
  };
}

export function columnsOf(table: SQLiteTable, omit: readonly string[]): Record<string, AnySQLiteColumn> {
  const all = Object.entries(getTableColumns(table) as Record<string, AnySQLiteColumn>);
  return Object.fromEntries(all.filter(([name]) => !omit.includes(name)));
}

const IDENTITY = "row identity";
const weightName = (name: string) => `${name} bytes`;

/** Offsets count from 1. */
function pieceOf(table: Keyed, column: AnySQLiteColumn, version: AnySQLiteColumn | undefined) {
  const [offset, count] = [sql.placeholder("offset"), sql.placeholder("count")];
  return prepared((db) =>
    db
      .select({ piece: sql`substr(CAST(${column} AS BLOB), ${offset}, ${count})` })
      .from(table as SQLiteTable)
      .where(
        and(
          eq(table.pk, sql.placeholder("pk")),
          sql`${identityOf(table)} = ${sql.placeholder("identity")}`,
          version === undefined ? undefined : eq(version, sql.placeholder("version")),
        ),
      )
      .prepare(),
  );
}
