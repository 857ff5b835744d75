// A database of every released schema opens today: nothing in it is lost, the old file is kept, the server serves what it held, and
// the way back to the release that wrote it is open.
import { Database } from "bun:sqlite";
import { afterEach, describe, expect, test } from "bun:test";
import { copyFileSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { serverKeys } from "../src/happy/auth/server-keys.ts";
import { fileOf } from "../src/protocol/database-spec.ts";
import { protocols } from "../src/protocols.ts";
import { migrate, undoLast } from "../src/storage/migrations.ts";
import { accountWith } from "./support/happy-client.ts";
import { TEST_SECRET, type TestServer, testServer } from "./support/server.ts";

const FIXTURES = join(import.meta.dir, "fixtures");
const fixtures = readdirSync(FIXTURES).filter((name) => /^[a-z]+-v\d+\.db$/.test(name));

const folders: string[] = [];
const servers: TestServer[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await server.stop();
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

/** A data folder with a copy of the fixture. */
function folderWith(fixture: string, name: string): { dataDir: string; path: string } {
  const dataDir = mkdtempSync(join(tmpdir(), "roost-upgrade-"));
  folders.push(dataDir);
  const path = join(dataDir, name);
  copyFileSync(join(FIXTURES, fixture), path);
  return { dataDir, path };
}

/** Every row of every table, and the columns that each has. */
function everything(path: string, columnsOf?: Record<string, string[]>) {
  using sqlite = new Database(path, { readwrite: true });
  const tables = sqlite
    .query<{ name: string }, []>(
      "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name",
    )
    .all()
    .map(({ name }) => name)
    .filter((name) => columnsOf === undefined || name in columnsOf);
  const columns = Object.fromEntries(
    tables.map((table) => [
      table,
      columnsOf?.[table] ??
        sqlite
          .query<{ name: string }, [string]>("SELECT name FROM pragma_table_info(?)")
          .all(table)
          .map(({ name }) => name),
    ]),
  );
  const rows = Object.fromEntries(
    tables.map((table) => [table, sqlite.query(`SELECT ${columns[table]?.join(", ")} FROM ${table}`).all()]),
  );
  return { columns, rows };
}

const soundness = (path: string) => {
  using sqlite = new Database(path, { readwrite: true });
  return [sqlite.query("PRAGMA integrity_check").values(), sqlite.query("PRAGMA foreign_key_check").values()];
};

/** As SQL, without the spaces in which written and altered definitions differ. */
const schemaOf = (path: string) => {
  using sqlite = new Database(path, { readwrite: true });
  return sqlite
    .query<{ sql: string }, []>("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name")
    .all()
    .map(({ sql }) => sql.replace(/\s+/g, " "));
};

test("there is a fixture of the first release's databases, with a row in every table", () => {
  expect(fixtures).toEqual(expect.arrayContaining(["happy-v1.db", "topics-v1.db"]));
  for (const fixture of fixtures) {
    const { rows } = everything(folderWith(fixture, "copy.db").path);
    expect(Object.entries(rows).filter(([, found]) => found.length === 0)).toEqual([]);
  }
});

for (const fixture of fixtures) {
  const [, name = "", version = ""] = /^([a-z]+)-v(\d+)\.db$/.exec(fixture) ?? [];
  describe(fixture, () => {
    test("keeps every row through every migration, and the way back", async () => {
      const spec = protocols.flatMap(({ databases }) => databases).find((database) => database.name === name);
      if (spec === undefined) throw new Error(`nothing knows ${fixture}`);
      const known = { file: fileOf(spec), migrations: await spec.migrations() };
      const { path, dataDir } = folderWith(fixture, known.file);
      const before = everything(path);
      const schema = schemaOf(path);
      {
        using sqlite = new Database(path, { readwrite: true, strict: true });
        sqlite.run("PRAGMA foreign_keys = ON");
        const { from, to, snapshot } = migrate(sqlite, known.migrations, path);
        expect([from, to]).toEqual([Number(version), known.migrations.length]);
        if (to > from) expect(everything(snapshot ?? "").rows).toEqual(before.rows);
      }
      expect(soundness(path)).toEqual([[["ok"]], []]);
      expect(everything(path, before.columns).rows).toEqual(before.rows);
      {
        using sqlite = new Database(path, { readwrite: true, strict: true });
        sqlite.run("PRAGMA foreign_keys = ON");
        for (let at = known.migrations.length; at > Number(version); at--)
          expect(undoLast(sqlite, known.migrations, path).to).toBe(at - 1);
      }
      expect(everything(path)).toEqual(before);
      expect(schemaOf(path)).toEqual(schema);
      expect(soundness(path)).toEqual([[["ok"]], []]);
      expect(readdirSync(dataDir).filter((file) => file.endsWith(".bak")).length).toBeLessThanOrEqual(3);
    });
  });
}

test("the server serves what the first release stored, and numbers what is new after it", async () => {
  const { dataDir } = folderWith("happy-v1.db", "happy.db");
  copyFileSync(join(FIXTURES, "topics-v1.db"), join(dataDir, "topics.db"));
  const server = await testServer({ dataDir, topicsEnabled: true });
  servers.push(server);
  const token = await serverKeys(TEST_SECRET).bearer.issue({ account: "cfirstaccount000000000001" });
  const account = accountWith(server.url, token);
  const sid = "csession00000000000000001";

  const { body: list } = await account.call("GET", "/v1/sessions");
  expect(list.sessions).toMatchObject([
    { id: sid, seq: 2, metadata: "metadata", metadataVersion: 3, agentState: "state", agentStateVersion: 4 },
  ]);
  const { body: old } = await account.call("GET", `/v3/sessions/${sid}/messages`);
  expect(old.messages).toMatchObject([
    { id: "cmessage00000000000000001", seq: 1, localId: "local-1", content: { t: "encrypted", c: "first" } },
    { id: "cmessage00000000000000002", seq: 2, localId: null, content: { t: "encrypted", c: "second" } },
  ]);
  expect((await account.call("GET", "/v1/account/profile")).body).toMatchObject({
    username: "ada",
    github: { login: "octo" },
  });
  expect((await account.call("GET", "/v1/machines")).body).toMatchObject([{ id: "machine-1" }]);
  expect((await account.call("GET", "/v1/kv/notes")).body).toMatchObject({ key: "notes", version: 5 });
  expect((await account.call("GET", "/v1/artifacts")).body).toHaveLength(1);

  const posted = await account.call("POST", `/v3/sessions/${sid}/messages`, {
    messages: [
      { content: "first again", localId: "local-1" },
      { content: "third", localId: "local-3" },
    ],
  });
  expect(posted.body.messages.map(({ seq }: { seq: number }) => seq)).toEqual([1, 3]);
});
