// Holds retention to: what is old and inactive goes with all that belongs to it, its clients are told, and nothing else is touched.
import { Database } from "bun:sqlite";
import { afterEach, expect, test } from "bun:test";
import { join } from "node:path";
import { type Account, newAccount } from "../../test/support/happy-client.ts";
import { type TestServer, testServer } from "../../test/support/server.ts";
import { createLog } from "../observability/log.ts";
import { openDatabase } from "../storage/database.ts";
import { applyRetention } from "./retention.ts";
import { happyStore } from "./store/index.ts";
import { migrations } from "./store/migrations.ts";
import { countOld, deleteInactiveSession, type OldCutoffs, type OldSession } from "./store/retention.ts";

const DAY_MS = 86_400_000;
const NONE: OldCutoffs = { sessions: undefined, messages: undefined, usage: undefined, feed: undefined };

const undo: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const step of undo.splice(0).toReversed()) await step();
});

interface Scene {
  readonly server: TestServer;
  readonly account: Account;
  readonly database: ReturnType<typeof openDatabase>;
  /** A session with messages and a usage report that was last heard so many days ago. */
  session(tag: string, daysAgo: number, messages: number): Promise<string>;
  rows(table: string): number;
}

async function scene(): Promise<Scene> {
  const server = await testServer();
  undo.push(() => server.stop());
  const account = await newAccount(server.url);
  const path = join(server.dataDir, "happy.db");
  // A connection of its own, as the command's beside a running server.
  const database = openDatabase({ path, migrations, log: createLog("silent") });
  undo.push(() => database.close());
  const outside = new Database(path, { readwrite: true, strict: true });
  outside.run("PRAGMA busy_timeout = 5000");
  undo.push(async () => outside.close());
  return {
    server,
    account,
    database,
    session: async (tag, daysAgo, messages) => {
      const { body } = await account.call("POST", "/v1/sessions", { tag, metadata: "m" });
      const { id } = body.session;
      for (let n = 0; n < messages; n += 100)
        await account.call("POST", `/v3/sessions/${id}/messages`, {
          messages: Array.from({ length: Math.min(100, messages - n) }, (_, i) => ({
            content: "0123456789",
            localId: `${n + i}`,
          })),
        });
      await account.call("POST", `/v1/sessions/${id}/archive`);
      const at = Date.now() - daysAgo * DAY_MS;
      outside.query("UPDATE sessions SET last_active_at = ?, updated_at = ? WHERE id = ?").run(at, at, id);
      outside
        .query(
          `INSERT INTO usage_reports (id, account_pk, session_pk, key, data, created_at, updated_at)
           SELECT ?, account_pk, pk, 'k', '{}', ?, ? FROM sessions WHERE id = ?`,
        )
        .run(`usage-${tag}`, at, at, id);
      return id;
    },
    rows: (table) => outside.query<{ n: number }, []>(`SELECT count(*) AS n FROM ${table}`).get()?.n ?? 0,
  };
}

function apply({ database }: Scene, cutoffs: Partial<OldCutoffs>, goOn: () => boolean = () => true) {
  const gone: OldSession[] = [];
  const announce = (session: OldSession) => gone.push(session);
  return applyRetention({
    store: happyStore(database),
    cutoffs: { ...NONE, ...cutoffs },
    announce,
    goOn,
    isShared: true,
  }).then((removed) => ({
    removed,
    gone: gone.map(({ id }) => id),
  }));
}

test("inactive sessions go with their messages and reports; active and younger ones stay", async () => {
  const all = await scene();
  const old = await all.session("old", 100, 450);
  const young = await all.session("young", 10, 3);
  const { body } = await all.account.call("POST", "/v1/sessions", { tag: "active", metadata: "m" });
  const before = Date.now() - 90 * DAY_MS;
  expect(await countOld(all.database, { ...NONE, sessions: before })).toEqual([
    { kind: "sessions", account: all.account.id, count: 1, bytes: 4501 },
  ]);
  const { removed, gone } = await apply(all, { sessions: before });
  expect([removed, gone]).toEqual([{ sessions: 1, messages: 450, usageReports: 0, feedEntries: 0 }, [old]]);
  const list = await all.account.call("GET", "/v1/sessions");
  expect(list.body.sessions.map(({ id }: { id: string }) => id).sort()).toEqual(
    [young, body.session.id].sort(),
  );
  expect([all.rows("messages"), all.rows("usage_reports")]).toEqual([3, 1]);
  expect(await countOld(all.database, { ...NONE, sessions: before })).toEqual([]);
});

test("messages of inactive sessions go, the session stays, and its numbers go on", async () => {
  const all = await scene();
  const old = await all.session("old", 40, 250);
  await all.session("young", 10, 3);
  const { removed, gone } = await apply(all, { messages: Date.now() - 30 * DAY_MS });
  expect([removed.messages, removed.sessions, gone]).toEqual([250, 0, []]);
  expect(all.rows("messages")).toBe(3);
  const posted = await all.account.call("POST", `/v3/sessions/${old}/messages`, {
    messages: [{ content: "c", localId: "new" }],
  });
  expect(posted.body.messages).toMatchObject([{ seq: 251 }]);
});

test("a session that comes back to life meanwhile keeps what it has", async () => {
  const all = await scene();
  const old = await all.session("old", 100, 5);
  const before = Date.now() - 90 * DAY_MS;
  await all.account.call("POST", `/v3/sessions/${old}/messages`, {
    messages: [{ content: "c", localId: "new" }],
  });
  const told: number[] = [];
  expect(await deleteInactiveSession(all.database, 1, before, (seq) => told.push(seq))).toBe(false);
  expect(await apply(all, { sessions: before, messages: before })).toMatchObject({
    gone: [],
    removed: { messages: 0 },
  });
  expect([all.rows("messages"), told]).toEqual([6, []]);
});

test("old usage reports go, those that were changed since stay", async () => {
  const all = await scene();
  await all.session("old", 100, 1);
  await all.session("young", 1, 1);
  const before = Date.now() - 30 * DAY_MS;
  expect(await countOld(all.database, { ...NONE, usage: before })).toMatchObject([
    { kind: "usage reports", count: 1 },
  ]);
  expect((await apply(all, { usage: before })).removed.usageReports).toBe(1);
  expect(all.rows("usage_reports")).toBe(1);
});

test("it stops between two steps when it is told to, and nothing is half done", async () => {
  const all = await scene();
  await all.session("old", 100, 450);
  let steps = 0;
  const { removed, gone } = await apply(all, { sessions: Date.now() - 90 * DAY_MS }, () => ++steps <= 3);
  expect(removed.sessions).toBe(0);
  expect(gone).toEqual([]);
  expect(all.rows("messages")).toBe(450 - removed.messages);
  expect(removed.messages).toBeGreaterThan(0);
});
