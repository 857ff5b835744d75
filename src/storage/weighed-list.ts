// Lists and pages whose rows may be large. The rows are weighed first, which reads no value; a light list is read at once, a heavy one
// row by row while it is written, each row by its key, so that none is missed or doubled and no transaction stays open meanwhile.
import { type AnyColumn, type SQL, sql } from "drizzle-orm";
import type { SQLiteTable } from "drizzle-orm/sqlite-core";
import {
  columnsOf,
  identityOf,
  type Keyed,
  type LargeColumns,
  type Light,
  lightRow,
  weightOf,
} from "./large-rows.ts";
import { type Db, plainRows } from "./query.ts";
import { StoredValue } from "./stored-value.ts";

/** Stored content of one page, besides its limit of rows. */
export const PAGE_BYTES = 4 * 1024 * 1024;
/** A list of no more than both is read and written at once. */
export const WHOLE_BYTES = 1024 * 1024;
const WHOLE_ROWS = 2_000;

/** Those of a light list are there; those of a heavy one are read as they are asked for, to be gone through once. */
export type Rows<T> =
  | { readonly isHeavy: false; readonly rows: readonly T[] }
  | { readonly isHeavy: true; readonly rows: AsyncIterable<T> };

export type Listed<T> = Rows<T> & Page;

interface Page {
  /** Rows were left out, for their number or their bytes. */
  readonly hasMore: boolean;
  /** Key of the last row; undefined when there is none. */
  readonly lastPk: number | undefined;
}

export const NOTHING: Listed<never> = { rows: [], isHeavy: false, hasMore: false, lastPk: undefined };

/** Greater than every text in SQLite's order of values: the end of a range that has none. */
export const AFTER_EVERY_TEXT = new Uint8Array();

/** Rows that were found one by one and weighed; `read` gives each, or undefined for one that is gone by then. */
export async function listedByKey<F extends { readonly bytes: number }, T extends object>(
  found: readonly F[],
  read: (one: F) => T | undefined,
): Promise<Listed<T>> {
  const bytes = found.reduce((sum, one) => sum + one.bytes, 0);
  if (bytes > WHOLE_BYTES || found.length > WHOLE_ROWS)
    return { ...ALL, isHeavy: true, rows: eachLater(found, read) };
  return { ...ALL, isHeavy: false, rows: await Promise.all([...eachRead(found, read)].map(inlined)) };
}

const ALL: Page = { hasMore: false, lastPk: undefined };

/** The row with what is still in the database. */
async function inlined<T extends object>(row: T): Promise<T> {
  const entries = Object.entries(row);
  if (!entries.some(([, value]) => value instanceof StoredValue)) return row;
  const values = entries.map(async ([name, value]) => [
    name,
    value instanceof StoredValue ? await value.whole() : value,
  ]);
  return Object.fromEntries(await Promise.all(values)) as T;
}

type Made<T> = T | undefined | Promise<T | undefined>;

/** The same list with other rows, made when the rows are read; undefined leaves one out. */
export async function listedAs<F, T>(listed: Listed<F>, as: (row: F) => Made<T>): Promise<Listed<T>> {
  const rows = eachLater(listed.rows, as);
  return listed.isHeavy ? { ...listed, rows } : { ...listed, rows: await Array.fromAsync(rows) };
}

export interface ListSpec<T extends Keyed, L> {
  readonly table: T;
  /** See `lightRow`. */
  readonly large: L;
  /** May hold placeholders. */
  readonly where: SQL | undefined;
  readonly order: SQL;
  /** Among rows that `order` finds equal. */
  readonly thenOrder?: SQL;
  /** Columns that are not read. */
  readonly omit?: readonly string[];
}

type ListRow<T extends Keyed, L> = Light<T["$inferSelect"], keyof L & keyof T["$inferSelect"]>;

interface Asked {
  /** Of the placeholders. */
  readonly values: Readonly<Record<string, unknown>>;
  /** Undefined for all rows. */
  readonly limit?: number;
  /** Stored bytes after which a page ends; without it every row within the limit is given. */
  readonly budgetBytes?: number;
}

/** @returns how to read the list. */
export function weighedList<T extends Keyed, const L extends LargeColumns<T["$inferSelect"]>>({
  table,
  large,
  where,
  order,
  thenOrder,
  omit = [],
}: ListSpec<T, L>): (db: Db, asked: Asked) => Listed<ListRow<T, L>> {
  const columns = columnsOf(table, omit);
  const bytes = weightOf(...Object.keys(large).map((name) => columns[name] as AnyColumn));
  const query = (db: Db, fields: Record<string, SQL.Aliased>) =>
    db
      .select(fields)
      .from(table as SQLiteTable)
      .where(where)
      .orderBy(...(thenOrder === undefined ? [order] : [order, thenOrder]))
      .limit(sql.placeholder("limit"));
  const named = Object.fromEntries(
    Object.entries(columns).map(([name, what]) => [name, sql`${what}`.as(name)]),
  );
  const whole = plainRows((db) => query(db, named));
  const weights = plainRows<Weighed>((db) =>
    query(db, {
      pk: sql`${table.pk}`.as("pk"),
      identity: identityOf(table).as("identity"),
      bytes: bytes.as("bytes"),
    }),
  );
  const total = plainRows<{ bytes: number; count: number }>(
    (db) => query(db, { bytes: bytes.as("bytes") }),
    (text) => `SELECT coalesce(sum("bytes"), 0) AS "bytes", count(*) AS "count" FROM (${text})`,
  );
  const flags = Object.keys(columns).filter((name) => columns[name]?.dataType === "boolean");
  const light = lightRow(table, large, omit);
  return (db, { values, limit, budgetBytes = Number.POSITIVE_INFINITY }) => {
    // One more than is wanted tells whether there are more.
    const given = { ...values, limit: limit === undefined ? -1 : limit + 1 };
    const sum = total(db, given)[0];
    if (sum === undefined || (sum.bytes <= Math.min(WHOLE_BYTES, budgetBytes) && sum.count <= WHOLE_ROWS)) {
      const found = whole(db, given);
      for (const row of found) for (const name of flags) row[name] = row[name] === 1;
      const rows = (limit === undefined ? found : found.slice(0, limit)) as ListRow<T, L>[];
      const hasMore = rows.length < found.length;
      return { rows, isHeavy: false, hasMore, lastPk: rows.at(-1)?.pk as number | undefined };
    }
    const found = weights(db, given);
    const kept = cutPage(found, limit, budgetBytes);
    return {
      rows: eachLater(kept, ({ pk, identity }) => light(db, pk, identity)),
      isHeavy: true,
      hasMore: kept.length < found.length,
      lastPk: kept.at(-1)?.pk,
    };
  };
}

interface Weighed {
  readonly pk: number;
  /** See `identityOf`. */
  readonly identity: string;
  readonly bytes: number;
}

/** As many rows as fit, at least one. */
export function cutPage<W extends Pick<Weighed, "bytes">>(
  found: readonly W[],
  limit: number | undefined = found.length,
  budgetBytes: number,
): readonly W[] {
  let total = 0;
  let count = 0;
  for (const { bytes } of found) {
    total += bytes;
    if (count === limit || (count > 0 && total > budgetBytes)) break;
    count++;
  }
  return found.slice(0, count);
}

/** As `eachRead`, from rows and by reading that may take a wait. */
async function* eachLater<F, T>(
  found: Iterable<F> | AsyncIterable<F>,
  read: (one: F) => Made<T>,
): AsyncGenerator<T> {
  for await (const one of found) {
    const row = await read(one);
    if (row !== undefined) yield row;
  }
}

/** A row that was deleted meanwhile is left out. */
export function* eachRead<F, T>(found: readonly F[], read: (one: F) => T | undefined): Generator<T> {
  for (const one of found) {
    const row = read(one);
    if (row !== undefined) yield row;
  }
}
