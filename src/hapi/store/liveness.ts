// Whether the database answers, what of a sender is not settled yet, how much there is; and our counts brought up to what another hub
// left, session by session, each in a turn of its own.
import { setImmediate as nextTurn } from "node:timers/promises";
import { ValueTooLarge } from "../../limits/value-sizes.ts";
import type { Database } from "../../storage/database.ts";
import { probe } from "../../storage/query.ts";
import { type Cell, StoredContent } from "./content.ts";
import { isOff, lookForContent, recount } from "./facts.ts";
import type { Backfill, Json, SessionRow } from "./rows.ts";
import { readSession } from "./session-rows.ts";
import { setDated } from "./sessions.ts";
import { statement } from "./statement.ts";

export async function answers({ reads }: Database): Promise<void> {
  probe(reads);
}

export async function settled({ writer }: Database, sender?: object): Promise<void> {
  await writer.barrier(sender);
}

type Counts = Readonly<Record<"namespaces" | "sessions" | "messages" | "machines", number>>;
const counted = statement<Counts>(
  `SELECT (SELECT count(*) FROM (SELECT namespace FROM sessions UNION SELECT namespace FROM machines)) AS namespaces,
     (SELECT count(*) FROM sessions) AS sessions, (SELECT coalesce(sum(messages), 0) FROM roost_sessions) AS messages,
     (SELECT count(*) FROM machines) AS machines`,
);

export async function countRecords({ reads }: Database): Promise<Counts> {
  return counted(reads).get({}) ?? { namespaces: 0, sessions: 0, messages: 0, machines: 0 };
}

const nextSession = statement<{ id: string }>(
  "SELECT id FROM sessions WHERE id > $after ORDER BY id LIMIT 1",
);
const isThere = statement("SELECT 1 FROM sessions WHERE id = $id");

const lacksTodos = statement("SELECT 1 FROM sessions WHERE id = $id AND todos IS NULL");
const newest = statement<{ content: Cell; createdAt: number; seq: number }>(
  `SELECT content, created_at AS createdAt, seq FROM messages WHERE session_id = $id AND seq < $before ORDER BY seq DESC LIMIT $limit`,
);
/** As many as the released hub looks through (hapi-socket 6), and as many in one turn. */
const SEARCHED = 200;
const IN_ONE_TURN = 50;

/** The newest todo list of a session that has none stored. */
async function searchTodos(
  { reads }: Database,
  id: string,
  todosIn: (content: Json) => Json | undefined,
): Promise<{ readonly value: Json; readonly at: number } | undefined> {
  if (lacksTodos(reads).get({ id }) === null) return undefined;
  let before = Number.MAX_SAFE_INTEGER;
  for (let read = 0; read < SEARCHED; read += IN_ONE_TURN) {
    const rows = newest(reads).all({ id, before, limit: IN_ONE_TURN });
    for (const { content, createdAt, seq } of rows) {
      const value = todosIn(new StoredContent(content).value);
      if (value !== undefined) return { value, at: createdAt };
      before = seq;
    }
    if (rows.length < IN_ONE_TURN) break;
    await nextTurn();
  }
  return undefined;
}

async function fillTodos(database: Database, id: string, { todosIn, told }: Backfill): Promise<void> {
  const found = await searchTodos(database, id, todosIn);
  if (found === undefined) return;
  const stored = database.writer.run(
    (db): SessionRow | undefined => {
      if (lacksTodos(db).get({ id }) === null || !setDated(db, database, "todos", id, found))
        return undefined;
      return readSession(db, id);
    },
    (row) => {
      if (row !== undefined) told(row);
    },
  );
  await stored.catch((error: unknown) => {
    // A list that no session may have keeps nothing else from its turn.
    if (!(error instanceof ValueTooLarge)) throw error;
  });
}

export async function catchUp(database: Database, backfill?: Backfill): Promise<void> {
  const { reads, writer } = database;
  for (
    let at = nextSession(reads).get({ after: "" });
    at !== null;
    at = nextSession(reads).get({ after: at.id })
  ) {
    await nextTurn();
    const { id } = at;
    if (!isOff(reads, id)) continue;
    // Before it is counted: what a crash cuts off is looked for again.
    if (backfill !== undefined) await fillTodos(database, id, backfill);
    let look = lookForContent(reads, id, 0);
    while (look.next !== undefined) {
      await nextTurn();
      look = lookForContent(reads, id, look.next);
    }
    const { hasContent } = look;
    await writer.run((db) => {
      if (isThere(db).get({ id }) !== null) recount(db, id, hasContent);
    });
  }
}
