// Who holds how much, in SQLite (shares.ts): a row for each holder, kept by triggers, and found by an index when one has to give.
import type { Db } from "../../storage/query.ts";
import { type Amount, givesItself, type Held, type Measure, NOTHING } from "./shares.ts";
import { statement } from "./statement.ts";

export interface SqliteShares {
  own(db: Db, holder: string): Held;
  /** Undefined: all that is held is firm. */
  giver(db: Db, holder: string, measure: Measure, added: Amount): string | undefined;
}

export function sqliteShares(table: "rpc_call_holders" | "rpc_task_holders"): SqliteShares {
  const held = statement<Held>(
    `SELECT entries, bytes, firm, firm_bytes AS firmBytes FROM ${table} WHERE holder = $holder`,
  );
  const most = (measure: Measure) =>
    statement<Amount & { readonly holder: string }>(
      `SELECT holder, entries, bytes FROM ${table} WHERE entries > firm ORDER BY ${measure} DESC, used LIMIT 1`,
    );
  const by = { entries: most("entries"), bytes: most("bytes") };
  const own = (db: Db, holder: string) => held(db).get({ holder }) ?? NOTHING;
  return {
    own,
    giver: (db, holder, measure, added) => {
      const top = by[measure](db).get({});
      if (top === null) return undefined;
      return givesItself(own(db, holder), top, measure, added) ? holder : top.holder;
    },
  };
}
