// A hapi.db of any history becomes one of today, with its rows, as the released hub makes it; what is not one, or is of tomorrow, is left
// alone.
import { Database as Sqlite } from "bun:sqlite";
import { afterEach, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { releasedHub, startReleasedHub } from "../../../test/support/hapi-release.ts";
import { openHapiDatabase } from "../../../test/support/hapi-store.ts";
import { migrations } from "./migrations.ts";

/** Version 3 as hapi-data 3 has it. */
const BASELINE = `
CREATE TABLE sessions (id TEXT PRIMARY KEY, tag TEXT, namespace TEXT NOT NULL DEFAULT 'default', machine_id TEXT,
  created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, metadata TEXT, metadata_version INTEGER DEFAULT 1, agent_state TEXT,
  agent_state_version INTEGER DEFAULT 1, todos TEXT, todos_updated_at INTEGER, active INTEGER DEFAULT 0, active_at INTEGER,
  seq INTEGER DEFAULT 0);
CREATE INDEX idx_sessions_tag ON sessions(tag);
CREATE INDEX idx_sessions_tag_namespace ON sessions(tag, namespace);
CREATE TABLE machines (id TEXT PRIMARY KEY, namespace TEXT NOT NULL DEFAULT 'default', created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL, metadata TEXT, metadata_version INTEGER DEFAULT 1, runner_state TEXT,
  runner_state_version INTEGER DEFAULT 1, active INTEGER DEFAULT 0, active_at INTEGER, seq INTEGER DEFAULT 0);
CREATE INDEX idx_machines_namespace ON machines(namespace);
CREATE TABLE messages (id TEXT PRIMARY KEY, session_id TEXT NOT NULL, content TEXT NOT NULL, created_at INTEGER NOT NULL,
  seq INTEGER NOT NULL, local_id TEXT, FOREIGN KEY (session_id) REFERENCES sessions(id) ON DELETE CASCADE);
CREATE INDEX idx_messages_session ON messages(session_id, seq);
CREATE UNIQUE INDEX idx_messages_local_id ON messages(session_id, local_id) WHERE local_id IS NOT NULL;`;
const PEOPLE = `
CREATE TABLE users (id INTEGER PRIMARY KEY AUTOINCREMENT, platform TEXT NOT NULL, platform_user_id TEXT NOT NULL,
  namespace TEXT NOT NULL DEFAULT 'default', created_at INTEGER NOT NULL, UNIQUE(platform, platform_user_id));
CREATE INDEX idx_users_platform ON users(platform);
CREATE INDEX idx_users_platform_namespace ON users(platform, namespace);
CREATE TABLE push_subscriptions (id INTEGER PRIMARY KEY AUTOINCREMENT, namespace TEXT NOT NULL, endpoint TEXT NOT NULL,
  p256dh TEXT NOT NULL, auth TEXT NOT NULL, created_at INTEGER NOT NULL, UNIQUE(namespace, endpoint));
CREATE INDEX idx_push_subscriptions_namespace ON push_subscriptions(namespace);`;
const DAEMON = `ALTER TABLE machines RENAME COLUMN runner_state TO daemon_state;
ALTER TABLE machines RENAME COLUMN runner_state_version TO daemon_state_version;`;
const ROWS = `
INSERT INTO sessions (id, tag, created_at, updated_at, metadata, todos) VALUES ('s', 't', 1, 2, '{"path":"/p","host":"h"}', '[]');
INSERT INTO messages (id, session_id, content, created_at, seq, local_id) VALUES
  ('m1', 's', '{"role":"user","content":{"type":"text","text":"hi"}}', 10, 1, 'l'), ('m2', 's', '"x"', 20, 2, NULL);
INSERT INTO machines (id, created_at, updated_at, metadata) VALUES ('m', 1, 2, '{"host":"h"}');`;

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

function file(version: number, make: (sqlite: Sqlite) => void): string {
  const folder = mkdtempSync(join(tmpdir(), "roost-hapi-migrations-"));
  folders.push(folder);
  const path = join(folder, "hapi.db");
  using sqlite = new Sqlite(path, { create: true });
  make(sqlite);
  sqlite.run(`PRAGMA user_version = ${version}`);
  return path;
}

/** A file as it was at a version, with rows. */
const fileAt = (version: number) =>
  file(version, (sqlite) => {
    sqlite.run(BASELINE + (version > 0 ? PEOPLE : ""));
    if (version < 2) sqlite.run(DAEMON);
    sqlite.run(ROWS);
    for (const { step } of migrations.slice(3, Math.max(3, version))) step?.(sqlite);
  });

/** Tables with their columns, and indexes, of the format alone. */
function shapeOf(path: string): unknown {
  using sqlite = new Sqlite(path);
  const names = sqlite
    .query<{ type: string; name: string }, []>(
      "SELECT type, name FROM sqlite_schema WHERE name NOT LIKE 'roost%' ORDER BY type, name",
    )
    .all();
  return {
    version: sqlite.query("PRAGMA user_version").get(),
    stamp: sqlite.query("PRAGMA application_id").get(),
    names,
    columns: Object.fromEntries(
      names
        .filter(({ type }) => type === "table")
        .map(({ name }) => [
          name,
          sqlite
            .query('SELECT name, type, "notnull", dflt_value, pk FROM pragma_table_info(?) ORDER BY name')
            .all(name),
        ]),
    ),
  };
}

async function openAndClose(path: string): Promise<void> {
  await openHapiDatabase(path).close();
}

test.each(Array.from(migrations, (_, version) => version))(
  "a file of version %i becomes one of today, with its rows, and what was before is kept",
  async (version) => {
    const path = fileAt(version);
    const database = openHapiDatabase(path);
    expect(database.migration).toMatchObject({ from: version, to: 26 });
    const ask = (text: string) => database.reads.$client.query(text).all();
    expect(ask("SELECT id, invoked_at, delivery_state FROM messages ORDER BY id")).toEqual([
      { id: "m1", invoked_at: 10, delivery_state: "queued" },
      { id: "m2", invoked_at: 20, delivery_state: "queued" },
    ]);
    expect(ask("SELECT id, runner_state, runner_state_version FROM machines")).toEqual([
      { id: "m", runner_state: null, runner_state_version: 1 },
    ]);
    await database.close();
    const fresh = file(0, () => {});
    await openAndClose(fresh);
    expect(shapeOf(path)).toEqual(shapeOf(fresh));
    using before = new Sqlite(database.migration.snapshot ?? "");
    expect(before.query("PRAGMA user_version").get()).toEqual({ user_version: version });
    expect(before.query("SELECT count(*) AS n FROM messages").get()).toEqual({ n: 2 });
  },
);

test("what strangers added stays, and opening again changes nothing", async () => {
  const path = file(3, (sqlite) => {
    sqlite.run(`${BASELINE}${PEOPLE}${ROWS}`);
    sqlite.run(
      "CREATE TABLE mine (x); INSERT INTO mine VALUES (7); ALTER TABLE sessions ADD COLUMN mine TEXT",
    );
  });
  await openAndClose(path);
  const shape = shapeOf(path);
  await openAndClose(path);
  expect(shapeOf(path)).toEqual(shape);
  using sqlite = new Sqlite(path);
  expect(sqlite.query("SELECT x FROM mine").all()).toEqual([{ x: 7 }]);
  expect(sqlite.query("SELECT mine FROM sessions").all()).toEqual([{ mine: null }]);
});

test.each<[string, number, string, string]>([
  ["of tomorrow", 27, BASELINE + PEOPLE, "was written by a newer HAPI"],
  ["without a table that every one has", 5, BASELINE, "is not a database of HAPI"],
  ["of today without a table of today", 26, BASELINE + PEOPLE, "it lacks message_epochs"],
  ["of somebody else, without a number", 0, "CREATE TABLE birds (id)", "is not a database of HAPI"],
])("a file %s is refused and not touched", (_, version, text, sentence) => {
  const path = file(version, (sqlite) => sqlite.run(text));
  const before = readFileSync(path);
  expect(() => openHapiDatabase(path)).toThrow(sentence);
  expect(readFileSync(path).equals(before)).toBe(true);
  expect(readdirSync(join(path, ".."))).toEqual(["hapi.db"]);
});

test("a table of machines with both names of a column is refused, and nothing of it is changed", () => {
  const path = file(1, (sqlite) => {
    sqlite.run(`${BASELINE}${PEOPLE}${ROWS} ALTER TABLE machines ADD COLUMN daemon_state TEXT`);
  });
  const shape = shapeOf(path);
  expect(() => openHapiDatabase(path)).toThrow("has both daemon_state and runner_state");
  expect(shapeOf(path)).toEqual(shape);
  expect(readdirSync(join(path, "..")).filter((name) => name.endsWith(".bak"))).toEqual([]);
});

releasedHub.test("a fresh file is what the released hub makes", async () => {
  const ours = file(0, () => {});
  await openAndClose(ours);
  const hub = await startReleasedHub();
  await hub.stop();
  expect(shapeOf(ours)).toEqual(shapeOf(hub.path));
  hub.remove();
});

releasedHub.test.each([0, 1, 3, 15, 19])(
  "version %i becomes what the released hub makes of it",
  async (version) => {
    const ours = fileAt(version);
    const hub = await startReleasedHub(fileAt(version));
    await hub.stop();
    await openAndClose(ours);
    expect(shapeOf(ours)).toEqual(shapeOf(hub.path));
    const rows = (path: string) => {
      using sqlite = new Sqlite(path);
      return sqlite
        .query("SELECT id, seq, invoked_at, scheduled_at, delivery_state FROM messages ORDER BY id")
        .all();
    };
    expect(rows(ours)).toEqual(rows(hub.path));
    hub.remove();
  },
);
