// The steps by which an older hapi.db becomes version 26 (hapi-data 5), equal to the released hub's in what comes of them. Each looks
// what is there before it changes it, so that a file of any history passes: steps may be repeated, and what is strange stays.
import type { Database } from "bun:sqlite";
import fresh from "../../../migrations/hapi/fresh.sql" with { type: "text" };
import { StorageError } from "../../storage/errors.ts";
import type { Migration } from "../../storage/migrations.ts";

/** The statement that makes a table or an index in a fresh file, with what it makes. */
const MADE = new Map(
  fresh
    .replace(/^--.*$/gm, "")
    .split(";")
    .map((text) => text.trim())
    .filter((text) => text !== "")
    .map((text) => [/^CREATE (?:UNIQUE )?(?:TABLE|INDEX) (\w+)/.exec(text)?.[1] ?? "", text] as const),
);

/** Makes these tables or indexes as a fresh file has them, where they are missing. */
const make =
  (...names: readonly string[]) =>
  (sqlite: Database) => {
    for (const name of names) {
      const text = MADE.get(name);
      if (text === undefined) throw new Error(`a fresh file has no ${name}`);
      if (!exists(sqlite, name)) sqlite.run(text);
    }
  };

/** The columns with their types, as of the version that first had each. */
const add =
  (table: string, ...columns: readonly string[]) =>
  (sqlite: Database) => {
    for (const column of columns) {
      const name = column.slice(0, column.indexOf(" "));
      if (!columnsOf(sqlite, table).has(name)) sqlite.run(`ALTER TABLE ${table} ADD COLUMN ${column}`);
    }
  };

const exists = (sqlite: Database, name: string) =>
  sqlite.query("SELECT 1 FROM sqlite_schema WHERE name = ?").get(name) !== null;

const columnsOf = (sqlite: Database, table: string) =>
  new Set(
    sqlite
      .query<{ name: string }, [string]>("SELECT name FROM pragma_table_info(?)")
      .all(table)
      .map(({ name }) => name),
  );

/** What the first numbered version had: made where it is missing. */
function firstVersion(sqlite: Database): void {
  make("users", "push_subscriptions")(sqlite);
  add("sessions", "tag TEXT", "namespace TEXT NOT NULL DEFAULT 'default'", "machine_id TEXT")(sqlite);
  add("sessions", "metadata TEXT", "metadata_version INTEGER DEFAULT 1")(sqlite);
  add("sessions", "agent_state TEXT", "agent_state_version INTEGER DEFAULT 1")(sqlite);
  add("sessions", "todos TEXT", "todos_updated_at INTEGER")(sqlite);
  add("sessions", "active INTEGER DEFAULT 0", "active_at INTEGER", "seq INTEGER DEFAULT 0")(sqlite);
  add("machines", "namespace TEXT NOT NULL DEFAULT 'default'", "metadata TEXT")(sqlite);
  add("machines", "metadata_version INTEGER DEFAULT 1", "active INTEGER DEFAULT 0")(sqlite);
  add("machines", "active_at INTEGER", "seq INTEGER DEFAULT 0")(sqlite);
  add("messages", "local_id TEXT")(sqlite);
  make("idx_sessions_tag", "idx_sessions_tag_namespace", "idx_machines_namespace")(sqlite);
  make("idx_messages_session", "idx_messages_local_id", "idx_users_platform")(sqlite);
  make("idx_users_platform_namespace", "idx_push_subscriptions_namespace")(sqlite);
}

function renameDaemonState(sqlite: Database): void {
  const columns = columnsOf(sqlite, "machines");
  for (const [old, name, type] of [
    ["daemon_state", "runner_state", "TEXT"],
    ["daemon_state_version", "runner_state_version", "INTEGER DEFAULT 1"],
  ] as const) {
    if (columns.has(old) && columns.has(name))
      throw new StorageError(
        "foreign",
        `The HAPI hub's database has both ${old} and ${name} in its table of machines, so it cannot be brought up to date. Nothing was changed.`,
      );
    if (columns.has(old)) sqlite.run(`ALTER TABLE machines RENAME COLUMN ${old} TO ${name}`);
    else if (!columns.has(name)) sqlite.run(`ALTER TABLE machines ADD COLUMN ${name} ${type}`);
  }
}

function addInvokedAt(sqlite: Database): void {
  if (!columnsOf(sqlite, "messages").has("invoked_at")) {
    sqlite.run("ALTER TABLE messages ADD COLUMN invoked_at INTEGER");
    sqlite.run("UPDATE messages SET invoked_at = created_at");
  }
  make("idx_messages_session_position")(sqlite);
}

const nothing = () => {};
const rescan = (sqlite: Database) => {
  sqlite.run("DELETE FROM usage_events");
  sqlite.run("DELETE FROM usage_scan_state");
};

/** By the version that each leads to. */
const STEPS: readonly ((sqlite: Database) => void)[] = [
  firstVersion,
  renameDaemonState,
  nothing,
  add("sessions", "team_state TEXT", "team_state_updated_at INTEGER"),
  add("sessions", "model TEXT"),
  add("sessions", "effort TEXT"),
  add("sessions", "model_reasoning_effort TEXT"),
  addInvokedAt,
  (sqlite) => {
    add("messages", "scheduled_at INTEGER")(sqlite);
    make("idx_messages_scheduled_pending")(sqlite);
  },
  add("sessions", "service_tier TEXT"),
  (sqlite) => {
    makeWithout(sqlite, "fcm_devices", "push_key TEXT,");
    make("idx_fcm_devices_namespace", "idx_fcm_devices_token")(sqlite);
  },
  makeScratchlist,
  make("message_epochs"),
  (sqlite) => {
    makeScratchlist(sqlite);
    make("message_epochs")(sqlite);
  },
  add("session_scratchlist", "attachments TEXT DEFAULT NULL"),
  // From here on a content may be a zstd blob.
  nothing,
  make("usage_events", "idx_usage_events_session_created", "idx_usage_events_created"),
  (sqlite) => {
    add("usage_events", "last_input_tokens INTEGER", "last_output_tokens INTEGER")(sqlite);
    add("usage_events", "last_cache_read_tokens INTEGER", "last_cache_creation_tokens INTEGER")(sqlite);
    sqlite.run("DELETE FROM usage_events");
  },
  make("usage_scan_state"),
  rescan,
  rescan,
  add("sessions", "pinned INTEGER NOT NULL DEFAULT 0", "global_pinned INTEGER NOT NULL DEFAULT 0"),
  make(
    "events",
    "idx_events_namespace_ts",
    "idx_events_namespace_related_session",
    "idx_events_namespace_expires",
    "idx_events_namespace_idempotency",
    "event_links",
    "idx_event_links_namespace_from",
    "idx_event_links_namespace_to",
  ),
  add("fcm_devices", "push_key TEXT"),
  add("messages", "delivery_state TEXT NOT NULL DEFAULT 'queued'"),
  (sqlite) => {
    make(...MADE.keys())(sqlite);
  },
];

/** A table as it was before it got this column. */
function makeWithout(sqlite: Database, table: string, column: string): void {
  const text = MADE.get(table);
  if (text?.includes(column) !== true) throw new Error(`a fresh ${table} has no ${column}`);
  if (!exists(sqlite, table)) sqlite.run(text.replace(column, ""));
}

function makeScratchlist(sqlite: Database): void {
  makeWithout(sqlite, "session_scratchlist", "attachments TEXT DEFAULT NULL,");
  make("idx_session_scratchlist_session_created")(sqlite);
}

export const migrations: readonly Migration[] = STEPS.map((step, index) => ({
  name: `${index + 1}`.padStart(4, "0"),
  up: "",
  down: "",
  step,
}));
