// Sessions: made or found by tag, listed, changed in their plain columns, deleted with all that belongs to them.
import type { Database } from "../../storage/database.ts";
import type { Db } from "../../storage/query.ts";
import { admitGrowth, denied, ROW_BYTES } from "./access.ts";
import { factsOf } from "./facts.ts";
import { encodeAdmitted } from "./json.ts";
import { register, required } from "./machines.ts";
import type {
  Access,
  AgentSessionRow,
  Announce,
  OpenedSession,
  OpenSession,
  SessionColumns,
  SessionKey,
  SessionListRow,
  SessionRow,
} from "./rows.ts";
import { readAgentSessions, readByPrefix, readSession, readSessions } from "./session-rows.ts";
import { statement } from "./statement.ts";

const byTag = statement<{ id: string }>(
  "SELECT id FROM sessions WHERE tag = $tag AND namespace = $namespace ORDER BY created_at DESC, rowid DESC LIMIT 1",
);
const byId = statement<{ namespace: string; tag: string | null }>(
  "SELECT namespace, tag FROM sessions WHERE id = $id",
);
const insert = statement(
  `INSERT INTO sessions (id, tag, namespace, created_at, updated_at, metadata, metadata_version, agent_state, agent_state_version,
     model, model_reasoning_effort, effort, active, seq)
   VALUES ($id, $tag, $namespace, $now, $now, $metadata, 1, $agentState, 1, $model, $modelReasoningEffort, $effort, 0, 0)`,
);

export function openSession(
  database: Database,
  session: OpenSession,
  announce?: Announce<OpenedSession>,
): Promise<OpenedSession> {
  return database.writer.run((db) => opened(db, database, session), announce, { holds: session });
}

/** What refuses comes before what stores: a refused session registers no machine. */
function opened(db: Db, database: Database, session: OpenSession): OpenedSession {
  const { namespace, tag, id } = session;
  const tagged = byTag(db).get({ namespace, tag })?.id;
  if (id !== undefined) {
    const row = byId(db).get({ id });
    if (row !== null && (row.namespace !== namespace || row.tag !== tag)) return { kind: "id-bound" };
    if (row === null && tagged !== undefined) return { kind: "tag-bound" };
  }
  const machine =
    session.machine === undefined
      ? undefined
      : register(db, database, { ...session.machine, namespace }, false);
  if (machine === "access-denied") return { kind: "machine-denied" };
  // An id that is there has this tag by now.
  const known = id === undefined ? tagged : byId(db).get({ id }) === null ? undefined : id;
  if (known !== undefined) return { kind: "found", row: required(readSession(db, known)), machine };
  const fresh = id ?? crypto.randomUUID();
  const metadata = encodeAdmitted(database.sizes, "metadata", session.metadata);
  const agentState = encodeAdmitted(database.sizes, "agentState", session.agentState);
  const bytes = ROW_BYTES + (metadata?.length ?? 0) + (agentState?.length ?? 0);
  admitGrowth(db, database, "thing", namespace, bytes);
  const { model = null, modelReasoningEffort = null, effort = null } = session;
  insert(db).run({
    id: fresh,
    tag,
    namespace,
    now: Date.now(),
    metadata,
    agentState,
    model,
    modelReasoningEffort,
    effort,
  });
  factsOf(db, fresh);
  return { kind: "created", row: required(readSession(db, fresh)), machine };
}

export async function findSession({ reads }: Database, key: SessionKey): Promise<Access<SessionRow>> {
  const row = readSession(reads, key.id);
  if (row === undefined) return "not-found";
  return row.namespace === key.namespace ? row : "access-denied";
}

export async function lookForSession(
  { reads }: Database,
  key: SessionKey,
): Promise<Access<{ readonly isThere: true }>> {
  return denied(reads, "sessions", key) ?? { isThere: true };
}

export async function findAnySession({ reads }: Database, id: string): Promise<SessionRow | undefined> {
  return readSession(reads, id);
}

export async function findSessionByPrefix(
  { reads }: Database,
  namespace: string,
  prefix: string,
): Promise<SessionRow | undefined> {
  return readByPrefix(reads, namespace, prefix);
}

export async function listSessions(
  { reads }: Database,
  namespace: string,
  { limit = -1 }: { readonly limit?: number } = {},
): Promise<readonly SessionListRow[]> {
  return readSessions(reads, namespace, limit);
}

export async function listAgentSessions(
  { reads }: Database,
  namespace: string,
  keys: readonly string[],
): Promise<readonly AgentSessionRow[]> {
  return readAgentSessions(reads, namespace, keys);
}

/** Of each plain column, as the row has it. */
const PLAIN = {
  model: "model",
  modelReasoningEffort: "model_reasoning_effort",
  effort: "effort",
  serviceTier: "service_tier",
  pinned: "pinned",
  globalPinned: "global_pinned",
} as const;
const plain = Object.fromEntries(
  Object.entries(PLAIN).map(([name, column]) => [
    name,
    statement(`UPDATE sessions SET ${column} = $value WHERE id = $id`),
  ]),
) as Record<keyof typeof PLAIN, ReturnType<typeof statement>>;
const dated = {
  todos: datedColumn("todos"),
  teamState: datedColumn("team_state"),
};

function datedColumn(column: string) {
  return statement(
    `UPDATE sessions SET ${column} = $value, ${column}_updated_at = $at, seq = coalesce(seq, 0) + 1,
       updated_at = max(updated_at, $at) WHERE id = $id AND coalesce(${column}_updated_at, 0) < $at`,
  );
}

type Columns = { readonly changed: boolean; readonly row: SessionRow };

export function setSessionColumns(
  database: Database,
  key: SessionKey,
  columns: SessionColumns,
  announce?: Announce<Access<Columns>>,
): Promise<Access<Columns>> {
  return database.writer.run(
    (db): Access<Columns> => {
      const refused = denied(db, "sessions", key);
      if (refused !== undefined) return refused;
      const { id } = key;
      const before = required(readSession(db, id));
      let changed = false;
      for (const name of Object.keys(PLAIN) as (keyof typeof PLAIN)[]) {
        const value = columns[name];
        if (value === undefined || value === before[name]) continue;
        plain[name](db).run({ id, value: typeof value === "boolean" ? Number(value) : value });
        changed = true;
      }
      for (const name of ["todos", "teamState"] as const) {
        const given = columns[name];
        if (given !== undefined) changed = setDated(db, database, name, id, given) || changed;
      }
      return { changed, row: changed ? required(readSession(db, id)) : before };
    },
    announce,
    { holds: columns },
  );
}

/** Only forward in time. For use inside an operation. @returns whether it was stored. */
export function setDated(
  db: Db,
  { sizes }: Pick<Database, "sizes">,
  name: keyof typeof dated,
  id: string,
  { value, at }: { readonly value: unknown; readonly at: number },
): boolean {
  return dated[name](db).run({ id, at, value: encodeAdmitted(sizes, name, value) }).changes > 0;
}

/** Messages that go with a session in one operation; more go before, slice by slice. */
const SLICE = 2_000;
const someMessages = statement(
  "DELETE FROM messages WHERE id IN (SELECT id FROM messages WHERE session_id = $id ORDER BY seq DESC LIMIT $limit)",
);
const remove = statement("DELETE FROM sessions WHERE id = $id");
const hasMore = statement<{ n: number }>(
  "SELECT count(*) AS n FROM (SELECT 1 FROM messages WHERE session_id = $id LIMIT $limit)",
);

/** A long session leaves in slices, newest messages first, so that nobody waits for all of it at once. */
export async function deleteSession(
  database: Database,
  key: SessionKey,
  announce?: Announce<Access<{ readonly row: SessionRow }>>,
): Promise<Access<{ readonly row: SessionRow }>> {
  const { id } = key;
  while ((hasMore(database.reads).get({ id, limit: SLICE + 1 })?.n ?? 0) > SLICE) {
    const refused = await database.writer.run((db) => {
      const whose = denied(db, "sessions", key);
      if (whose === undefined) someMessages(db).run({ id, limit: SLICE });
      return whose;
    });
    if (refused !== undefined) break;
  }
  return database.writer.run((db): Access<{ readonly row: SessionRow }> => {
    const refused = denied(db, "sessions", key);
    if (refused !== undefined) return refused;
    const row = required(readSession(db, id));
    deleteWhole(db, id);
    return { row };
  }, announce);
}

/** For use inside an operation. Everything that refers to it goes with it. */
export function deleteWhole(db: Db, id: string): void {
  remove(db).run({ id });
}
