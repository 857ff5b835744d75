// Statements as text, prepared once for each connection. hapi.db is another program's format whose columns are named in its contract;
// every statement names the columns that it reads and writes, never their places (hapi-data 2).
//
// SQLite prepares a statement anew, at every run, when its planner has looked at what is bound to a value: that is so wherever a table
// has partial indexes or an outer join, and costs ten times the reading of a row. It does not look behind a plus sign, which changes
// neither the value nor its type.
import type { Statement } from "bun:sqlite";
import { type Db, prepared } from "../../storage/query.ts";

type Values = Record<string, string | number | bigint | boolean | Uint8Array | null>;

const made: string[] = [];

/** Of everything that was imported: for whoever looks at their plans. */
export const statementTexts = (): readonly string[] => made;

/**
 * Values are bound by name, `$id` in the text to `id`.
 * @example const byId = statement<{ seq: number }>("SELECT seq FROM sessions WHERE id = $id");
 *          byId(db).get({ id })?.seq;
 */
export function statement<Row = unknown>(text: string): (db: Db) => Statement<Row, [Values]> {
  const opaque = unseen(text);
  made.push(text);
  return prepared((db) => db.$client.prepare<Row, [Values]>(opaque));
}

/** The same text, whose plan does not depend on what is bound. */
export const unseen = (text: string): string => text.replace(/\$(?=[a-z])/gi, "+$");
