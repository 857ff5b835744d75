// Whether the database answers, when what was asked of it is settled, and how many rows it has.
import { count } from "drizzle-orm";
import type { Database } from "../../storage/database.ts";
import { probe } from "../../storage/query.ts";
import { accounts, machines, messages, sessions } from "./schema.ts";

/** Reads the least there is to read. @throws what SQLite throws when the database does not answer. */
export async function answers({ reads }: Database): Promise<void> {
  probe(reads);
}

/**
 * Resolves when everything that was stored so far is durable, or was refused. While the database is held up, only what the same
 * sender has stored counts.
 */
export function settled({ writer }: Database, sender: object): Promise<void> {
  return writer.barrier(sender);
}

const COUNTED = { accounts, sessions, messages, machines };

/** Rows of each table that is worth a figure. */
export async function countRecords({ reads }: Database): Promise<Record<keyof typeof COUNTED, number>> {
  const rows = (table: (typeof COUNTED)[keyof typeof COUNTED]) =>
    reads.select({ rows: count() }).from(table).get()?.rows ?? 0;
  return {
    accounts: rows(accounts),
    sessions: rows(sessions),
    messages: rows(messages),
    machines: rows(machines),
  };
}
