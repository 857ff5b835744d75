// A connection whose every error is told to whoever keeps the database's condition, also those of reads that only a request sees.
import type { Database, Statement } from "bun:sqlite";

const CALLS = ["all", "get", "values", "run"] as const;

/** Changes the connection itself: whatever is prepared from now on reports what it throws, and throws it all the same. */
export function watchConnection(sqlite: Database, note: (error: unknown) => void): void {
  const prepare = sqlite.prepare.bind(sqlite);
  const run = sqlite.run.bind(sqlite);
  const noted = <T>(work: () => T): T => {
    try {
      return work();
    } catch (error) {
      note(error);
      throw error;
    }
  };
  sqlite.prepare = ((...parts: Parameters<typeof prepare>) => {
    const statement = noted(() => prepare(...parts));
    watch(statement, note);
    return statement;
  }) as typeof sqlite.prepare;
  sqlite.run = ((...parts: Parameters<typeof run>) => noted(() => run(...parts))) as typeof sqlite.run;
}

function watch(statement: Statement, note: (error: unknown) => void): void {
  const calls = statement as unknown as Record<string, (...parts: unknown[]) => unknown>;
  for (const name of CALLS) {
    const call = calls[name];
    if (call === undefined) continue;
    calls[name] = function (this: Statement, ...parts: unknown[]) {
      try {
        return call.apply(this, parts);
      } catch (error) {
        note(error);
        throw error;
      }
    };
  }
}
