// Whether the database answers, what of a sender is not settled yet, how much there is; and our counts brought up to what another hub
// left, session by session, each in a turn of its own.
import { setImmediate as nextTurn } from "node:timers/promises";
import type { Database } from "../../storage/database.ts";
import { probe } from "../../storage/query.ts";
import { isOff, lookForContent, recount } from "./facts.ts";
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

export async function catchUp({ reads, writer }: Database): Promise<void> {
  for (
    let at = nextSession(reads).get({ after: "" });
    at !== null;
    at = nextSession(reads).get({ after: at.id })
  ) {
    await nextTurn();
    const { id } = at;
    if (!isOff(reads, id)) continue;
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
