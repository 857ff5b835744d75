// How far each thing in a database had come, as numbers that only grow: read from the live database just before and just after a
// snapshot, they bound what a faithful copy of it must say.
import type { Database } from "bun:sqlite";

/** The number of each thing by its name; null for a thing that has none yet. */
export type HighWater = Record<string, number | null>;

export interface Bounds {
  readonly before: HighWater;
  readonly after: HighWater;
}

/** A table that tells, and how to ask it: the query gives a name and a number. */
export interface HighWaterQuestion {
  readonly table: string;
  /** `SELECT 'thing ' || id AS name, seq AS high FROM things` */
  readonly sql: string;
}

export function highWater(sqlite: Database, questions: readonly HighWaterQuestion[]): HighWater {
  const tables = new Set(
    sqlite
      .query<{ name: string }, []>("SELECT name FROM sqlite_schema WHERE type = 'table'")
      .all()
      .map(({ name }) => name),
  );
  const found: HighWater = {};
  for (const { table, sql } of questions) {
    if (!tables.has(table)) continue;
    for (const { name, high } of sqlite.query<{ name: string; high: number | null }, []>(sql).all())
      found[name] = high;
  }
  return found;
}

/** What is wrong with a copy, in sentences; none for a faithful one. What was deleted while the snapshot was made may be there or not. */
export function compareHighWater({ before, after }: Bounds, copy: HighWater): string[] {
  const problems: string[] = [];
  for (const [name, low] of Object.entries(before)) {
    const high = after[name];
    if (high === undefined) continue;
    const found = copy[name];
    if (found === undefined) problems.push(`The copy lacks the ${name}.`);
    else if ((found ?? 0) < Math.min(low ?? 0, high ?? 0) || (found ?? 0) > Math.max(low ?? 0, high ?? 0))
      problems.push(`The ${name} is at ${found ?? "nothing"} in the copy, and was at ${low} to ${high}.`);
  }
  return problems;
}
