// Statements as text, prepared once for each connection. Values are bound by name, `$id` in the text to `id`.
import type { Statement } from "bun:sqlite";
import { type Db, prepared } from "../../storage/query.ts";

type Values = Record<string, string | number | null>;

export function statement<Row = unknown>(text: string): (db: Db) => Statement<Row, [Values]> {
  return prepared((db) => db.$client.prepare<Row, [Values]>(text));
}
