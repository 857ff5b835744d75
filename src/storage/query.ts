// The drizzle handle of one connection, and statements that are prepared once for each connection that runs them.
import type { SQLQueryBindings, Database as Sqlite } from "bun:sqlite";
import { is, Placeholder, type Query, sql } from "drizzle-orm";
import type { BunSQLiteDatabase } from "drizzle-orm/bun-sqlite";

export type Db = BunSQLiteDatabase<Record<string, never>> & { readonly $client: Sqlite };

/** Reads the least there is to read. @throws what SQLite throws when the database does not answer. */
export function probe(db: Db): void {
  db.get(sql`SELECT 1`);
}

/**
 * Remembers what `build` prepared for each connection. An unprepared drizzle query costs about three times as much.
 * @example const byId = prepared((db) => db.select().from(accounts).where(eq(accounts.id, sql.placeholder("id"))).prepare());
 *          byId(db).get({ id });
 */
export function prepared<T>(build: (db: Db) => T): (db: Db) => T {
  const built = new WeakMap<Db, T>();
  return (db) => {
    const known = built.get(db);
    if (known !== undefined) return known;
    const fresh = build(db);
    built.set(db, fresh);
    return fresh;
  };
}

/**
 * For long lists: what `build` selects under its own names, as SQLite gives it. Drizzle's reading of each value costs as much again
 * as SQLite's own work. `wrap` may put the statement's text into another.
 * @example const ids = plainRows<{ id: string }>((db) => db.select({ id: sql`${accounts.id}`.as("id") }).from(accounts));
 */
export function plainRows<T = Record<string, unknown>>(
  build: (db: Db) => { toSQL(): Query },
  wrap: (text: string) => string = (text) => text,
): (db: Db, values: Readonly<Record<string, unknown>>) => T[] {
  const statement = prepared((db) => {
    const { sql: text, params } = build(db).toSQL();
    // Looked at once: drizzle's own filling in looks at the kind of each at every call.
    const given = params.map((param) =>
      is(param, Placeholder) ? { name: String(param.name) } : { value: param },
    );
    return { all: db.$client.prepare<T, SQLQueryBindings[]>(wrap(text)), given };
  });
  return (db, values) => {
    const { all, given } = statement(db);
    const bindings = given.map((one) => (one.name === undefined ? one.value : values[one.name]));
    return all.all(...(bindings as SQLQueryBindings[]));
  };
}
