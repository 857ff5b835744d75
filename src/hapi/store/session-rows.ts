// Rows of sessions as the rest of the protocol sees them. Read with our own counts and presence beside them; no message row is touched.
import { type Db, prepared } from "../../storage/query.ts";
import { decode, ParsedValues } from "./json.ts";
import type { AgentSessionRow, SessionListRow, SessionPresence, SessionRow } from "./rows.ts";
import { statement } from "./statement.ts";

interface Stored {
  readonly id: string;
  readonly namespace: string;
  readonly tag: string | null;
  readonly seq: number | null;
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly metadata: string | null;
  readonly metadataVersion: number | null;
  readonly agentState: string | null;
  readonly agentStateVersion: number | null;
  readonly todos: string | null;
  readonly todosUpdatedAt: number | null;
  readonly teamState: string | null;
  readonly teamStateUpdatedAt: number | null;
  readonly model: string | null;
  readonly modelReasoningEffort: string | null;
  readonly effort: string | null;
  readonly serviceTier: string | null;
  readonly pinned: number;
  readonly globalPinned: number;
  readonly hasContent: number | null;
  readonly active: number | null;
  readonly activeAt: number | null;
  readonly thinking: number | null;
  readonly thinkingAt: number | null;
  readonly turnStartedAt: number | null;
  readonly backgroundTasks: number | null;
  readonly permissionMode: string | null;
  readonly collaborationMode: string | null;
  readonly copilotMode: string | null;
}

const SELECT = `s.id, s.namespace, s.tag, s.seq, s.created_at AS createdAt, s.updated_at AS updatedAt, s.metadata,
  s.metadata_version AS metadataVersion, s.agent_state AS agentState, s.agent_state_version AS agentStateVersion, s.todos,
  s.todos_updated_at AS todosUpdatedAt, s.team_state AS teamState, s.team_state_updated_at AS teamStateUpdatedAt, s.model,
  s.model_reasoning_effort AS modelReasoningEffort, s.effort, s.service_tier AS serviceTier, s.pinned,
  s.global_pinned AS globalPinned, r.has_content AS hasContent, r.active,
  nullif(max(coalesce(r.active_at, 0), coalesce(s.active_at, 0)), 0) AS activeAt, r.thinking,
  r.thinking_at AS thinkingAt, r.turn_started_at AS turnStartedAt, r.background_tasks AS backgroundTasks,
  r.permission_mode AS permissionMode, r.collaboration_mode AS collaborationMode, r.copilot_mode AS copilotMode`;
const FROM = "FROM sessions s LEFT JOIN roost_sessions r ON r.session_id = s.id";
/** Both from an index alone. */
const SCHEDULED = `FROM messages INDEXED BY roost_messages_scheduled
  WHERE session_id = s.id AND scheduled_at > $now AND scheduled_at IS NOT NULL AND invoked_at IS NULL`;

const byId = statement<Stored>(`SELECT ${SELECT} ${FROM} WHERE s.id = $id`);
const byPrefix = statement<Stored>(
  `SELECT ${SELECT} ${FROM} WHERE s.id >= $prefix AND s.id < $end AND s.namespace = $namespace LIMIT 2`,
);
/** Exported for the test of its plan. */
export const LIST = `SELECT ${SELECT}, (SELECT count(*) ${SCHEDULED}) AS scheduled, (SELECT min(scheduled_at) ${SCHEDULED}) AS nextAt
  ${FROM} WHERE s.namespace = $namespace ORDER BY s.updated_at DESC LIMIT $limit`;
const list = statement<Stored & { scheduled: number; nextAt: number | null }>(LIST);

export function readSession(db: Db, id: string): SessionRow | undefined {
  const row = byId(db).get({ id });
  return row === null ? undefined : sessionRow(row);
}

/** The only one of the namespace whose id begins so. */
export function readByPrefix(db: Db, namespace: string, prefix: string): SessionRow | undefined {
  const found = byPrefix(db).all({ namespace, prefix, end: `${prefix}\u{10ffff}` });
  return found.length === 1 && found[0] !== undefined ? sessionRow(found[0]) : undefined;
}

/** -1 is no limit. The same list, until something is stored or one of the times that it counts by has come. */
export function readSessions(db: Db, namespace: string, limit: number): readonly SessionListRow[] {
  const now = Date.now();
  const version = dataVersion(db).get({})?.data_version;
  const lists = listsOf(db);
  const key = `${limit} ${namespace}`;
  const known = lists.get(key);
  if (known !== undefined && known.version === version && known.at <= now && now < known.until)
    return known.rows;
  lists.delete(key);
  let until = Number.POSITIVE_INFINITY;
  let chars = 0;
  const rows = list(db)
    .all({ namespace, limit, now })
    .map((row) => {
      if (row.nextAt !== null) until = Math.min(until, row.nextAt);
      chars += ROW_CHARS + (row.metadata?.length ?? 0) + (row.agentState?.length ?? 0);
      chars += (row.todos?.length ?? 0) + (row.teamState?.length ?? 0);
      return Object.assign(sessionRow(row), {
        futureScheduledMessageCount: row.scheduled,
        nextScheduledAt: row.nextAt,
      });
    });
  if (chars > MAX_LIST_CHARS) return rows;
  lists.set(key, { version, at: now, until, rows });
  for (const oldest of lists.keys()) {
    if (lists.size <= MAX_LISTS) break;
    lists.delete(oldest);
  }
  return rows;
}

const agentSessions = statement<{ id: string; picked: string; wasHeard: number }>(
  `SELECT s.id, r.active_at IS NOT NULL AS wasHeard, (SELECT json_group_object(k.value, CASE WHEN json_valid(s.metadata)
     THEN json_extract(s.metadata, '$.' || k.value) END) FROM json_each($keys) k) AS picked
   ${FROM} WHERE s.namespace = $namespace ORDER BY s.updated_at DESC`,
);

/** What else the metadata holds never leaves the database. */
export const readAgentSessions = (db: Db, namespace: string, keys: readonly string[]): AgentSessionRow[] =>
  agentSessions(db)
    .all({ namespace, keys: JSON.stringify(keys) })
    .map(({ id, picked, wasHeard }) => ({ id, metadata: decode(picked), wasHeard: wasHeard === 1 }));

/** Changes with everything that another connection commits, as the one that writes is to the one that reads. */
const dataVersion = statement<{ data_version: number }>("PRAGMA data_version");

interface KnownList {
  readonly version: number | undefined;
  readonly at: number;
  /** When the first scheduled message is due. */
  readonly until: number;
  readonly rows: readonly SessionListRow[];
}

/** Lists that are remembered, and the texts of one. */
const MAX_LISTS = 4;
const MAX_LIST_CHARS = 4 * 1024 * 1024;
const ROW_CHARS = 256;
const listsOf = prepared((): Map<string, KnownList> => new Map());

const values = new ParsedValues();

function sessionRow(row: Stored): SessionRow {
  const { id } = row;
  return {
    id,
    namespace: row.namespace,
    tag: row.tag,
    seq: row.seq ?? 0,
    createdAt: row.createdAt,
    updatedAt: row.updatedAt,
    metadata: values.decode(`${id} metadata`, row.metadata),
    metadataVersion: row.metadataVersion ?? 1,
    agentState: values.decode(`${id} agentState`, row.agentState),
    agentStateVersion: row.agentStateVersion ?? 1,
    todos: values.decode(`${id} todos`, row.todos),
    todosUpdatedAt: row.todosUpdatedAt ?? 0,
    teamState: decode(row.teamState),
    teamStateUpdatedAt: row.teamStateUpdatedAt ?? 0,
    model: row.model,
    modelReasoningEffort: row.modelReasoningEffort,
    effort: row.effort,
    serviceTier: row.serviceTier,
    pinned: row.pinned === 1,
    globalPinned: row.globalPinned === 1,
    hasConversationContent: row.hasContent !== 0,
    presence: presenceOf(row),
  };
}

export function presenceOf(
  row: {
    readonly [K in keyof Stored as K extends
      | "active"
      | "activeAt"
      | "thinking"
      | "thinkingAt"
      | "turnStartedAt"
      | "backgroundTasks"
      | "permissionMode"
      | "collaborationMode"
      | "copilotMode"
      ? K
      : never]: Stored[K];
  },
): SessionPresence | undefined {
  if (row.activeAt === null) return undefined;
  return {
    active: row.active === 1,
    activeAt: row.activeAt,
    thinking: row.thinking === 1,
    thinkingAt: row.thinkingAt ?? 0,
    activeTurnStartedAt: row.turnStartedAt,
    backgroundTaskCount: row.backgroundTasks ?? 0,
    permissionMode: row.permissionMode,
    collaborationMode: row.collaborationMode,
    copilotAgentMode: row.copilotMode,
  };
}
