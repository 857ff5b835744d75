// Lists, heartbeats and sweeps cost the same however many messages there are: SQLite's own plans of the very statements that the
// server prepares for them use an index of sessions or machines, and none of them touches messages.
import { Database as Sqlite } from "bun:sqlite";
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { Presence } from "../../src/happy/presence/presence.ts";
import { happyStore } from "../../src/happy/store/index.ts";
import { migrations } from "../../src/happy/store/migrations.ts";
import type { Ephemeral } from "../../src/happy/wire/updates.ts";
import { createLog } from "../../src/observability/log.ts";
import { openDatabase } from "../../src/storage/database.ts";
import { type Account, newAccount } from "../support/happy-client.ts";
import { type TestServer, testServer } from "../support/server.ts";

// A busy machine is slow, not wrong.
setDefaultTimeout(30_000);

let server: TestServer;
let account: Account;
let sid: string;
let plans: Sqlite;

/** What was prepared since the last look. */
let prepared: string[] = [];
const original = Sqlite.prototype.prepare;

beforeAll(async () => {
  Sqlite.prototype.prepare = function (this: Sqlite, text: string, ...rest: never[]) {
    prepared.push(text);
    return original.call(this, text, ...rest);
  } as typeof original;
  server = await testServer();
  plans = new Sqlite(join(server.dataDir, "happy.db"), { readonly: true });
  account = await newAccount(server.url);
  sid = (await account.call("POST", "/v1/sessions", { tag: "t", metadata: "m" })).body.session.id;
  await account.call("POST", "/v1/machines", { id: "machine", metadata: "m" });
  // What sign-in and creation prepared is not looked at again.
  prepared = [];
});
afterAll(async () => {
  Sqlite.prototype.prepare = original;
  plans.close();
  await server.stop();
});

/** Statements of the work itself, without transaction control. */
function taken(): string[] {
  const texts = prepared.filter((text) => /^\s*(select|insert|update|delete|with)\b/i.test(text));
  prepared = [];
  return [...new Set(texts)];
}

function planOf(text: string): string[] {
  return plans
    .query<{ detail: string }, []>(`EXPLAIN QUERY PLAN ${text}`)
    .all()
    .map(({ detail }) => detail);
}

/** From end to end of an index that has active rows only. */
const ACTIVE_ONLY = /^SCAN (sessions|machines) USING INDEX \1_active$/;

/** No table is read from end to end, and messages are not read at all. */
function expectCheap(texts: readonly string[]): void {
  expect(texts.length).toBeGreaterThan(0);
  for (const text of texts) {
    expect(text).not.toMatch(/\bmessages\b/);
    const plan = planOf(text);
    expect({ text, plan: plan.filter((step) => /\bmessages\b/.test(step)) }).toEqual({ text, plan: [] });
    // A subquery is scanned where it is a page already.
    const scans = plan.filter(
      (step) => step.startsWith("SCAN") && !ACTIVE_ONLY.test(step) && !step.startsWith("SCAN (subquery"),
    );
    expect({ text, plan: scans }).toEqual({ text, plan: [] });
  }
}

const about = (texts: readonly string[], table: string) =>
  texts
    .filter((text) => new RegExp(`(from|update|into) "${table}"`, "i").test(text))
    .flatMap(planOf)
    .join("\n");

test("a statement that does read all messages would be noticed", () => {
  expect(planOf("SELECT count(*) FROM messages WHERE content = 'x'")).toEqual([
    expect.stringMatching(/^SCAN messages/),
  ]);
});

for (const [path, index] of [
  ["/v1/sessions", "sessions_by_update (account_pk=?)"],
  // One statement, whichever of limit, cursor and changedSince are given.
  ["/v2/sessions?cursor=cursor_v1_zzz&changedSince=1", "sessions_by_id (account_pk=? AND id<?)"],
  ["/v2/sessions/active", "USING INDEX sessions_"],
] as const) {
  test(`GET ${path} reads sessions by index`, async () => {
    prepared = [];
    expect((await account.call("GET", path)).status).toBe(200);
    const texts = taken();
    expectCheap(texts);
    expect(about(texts, "sessions")).toContain(index);
    if (path === "/v1/sessions") expect(about(texts, "sessions")).not.toContain("TEMP B-TREE");
  });
}

test("GET /v1/machines reads machines by index", async () => {
  prepared = [];
  expect((await account.call("GET", "/v1/machines")).status).toBe(200);
  const texts = taken();
  expectCheap(texts);
  expect(about(texts, "machines")).toContain("machines_by_activity (account_pk=?)");
});

test("heartbeats look things up and write them by key", async () => {
  const phone = await account.connect();
  await phone.settled();
  prepared = [];
  phone.socket.emit("session-alive", { sid, time: Date.now() });
  phone.socket.emit("machine-alive", { machineId: "machine", time: Date.now() });
  await phone.untilEphemeral("activity");
  await phone.untilEphemeral("machine-activity");
  await account.call("POST", `/v1/sessions/${sid}/archive`);
  phone.close();
  expectCheap(taken());
});

test("flushing heartbeats, the end of a grace and the sweep read indexes of active rows only", async () => {
  const path = join(server.dataDir, "presence.db");
  const database = openDatabase({ path, migrations, log: createLog("silent") });
  const account = "account";
  database.writer.run((db) => {
    const values = "(1, 'thing', 1, 'm', 1, 1, 1, 1, 1)";
    db.run(
      "INSERT INTO accounts (pk, id, public_key, created_at, updated_at) VALUES (1, 'account', 'k', 1, 1)",
    );
    db.run(`INSERT INTO sessions (pk, id, account_pk, tag, metadata, active, last_active_at, created_at, updated_at)
            VALUES (1, 'thing', 1, 't', 'm', 1, 1, 1, 1)`);
    db.run(`INSERT INTO machines (pk, id, account_pk, metadata, metadata_version, active, last_active_at, created_at, updated_at)
            VALUES ${values}`);
  });
  await database.writer.barrier();
  prepared = [];
  const heard: unknown[] = [];
  const turned = Promise.withResolvers<void>();
  const publisher = {
    update: () => {},
    comeAgain: () => {},
    ephemeral: (_audience: unknown, body: Ephemeral) => {
      heard.push(body);
      if (heard.length === 4) turned.resolve();
    },
  };
  const timing = { graceMs: 5, flushMs: 1_000, storeEveryMs: 0, sweepMs: 20, silenceMs: 0, suppressMs: 0 };
  const store = happyStore(database);
  const presence = new Presence({ store, publisher, log: createLog("silent"), timing, newestArchive: 0 });
  presence.start();
  for (const kind of ["session", "machine"] as const) {
    await presence.heard(kind, account, "thing", Date.now(), false, `${kind}'s socket`);
    await presence.flush();
    presence.socketLeft(`${kind}'s socket`);
  }
  await turned.promise;
  await presence.stop();
  await database.close();
  const texts = taken();
  expectCheap(texts);
  expect(about(texts, "sessions")).toContain("SCAN sessions USING INDEX sessions_active");
  expect(about(texts, "machines")).toContain("SCAN machines USING INDEX machines_active");
  expect(texts.filter((text) => /^update/i.test(text)).length).toBeGreaterThan(3);
});

test("pairing reads and clears away by index, and a poll that changes nothing prepares no write", async () => {
  const database = openDatabase({
    path: join(server.dataDir, "pairing.db"),
    migrations,
    log: createLog("silent"),
  });
  prepared = [];
  const newKey = () => Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString("base64");
  for (const [kind, path, table] of [
    ["terminal", "/v1/auth", "terminal_auth_requests"],
    ["account", "/v1/auth/account", "account_auth_requests"],
  ] as const) {
    const publicKey = newKey();
    const poll = () => account.call("POST", `${path}/request`, { publicKey });
    expect((await poll()).body.state).toBe("requested");
    await account.call("POST", `${path}/response`, { publicKey, response: "x" });
    expect((await poll()).body.state).toBe("authorized");
    expectCheap(taken());
    await poll();
    expect(taken()).toEqual([]);
    // What the timer does, where something is over.
    const store = happyStore(database);
    const long = { kind, publicKey: "AA", supportsV2: false, now: 0 };
    await store.pollPairing(long, () => []);
    taken();
    expect(await store.expirePairings(kind, Date.now())).toEqual({ waiting: ["AA"], more: false });
    const texts = taken();
    expectCheap(texts);
    expect(about(texts, table)).toContain(`${table}_waiting (created_at<?)`);
    expect(about(texts, table)).toContain(`${table}_approved (updated_at<?)`);
    expect(about(texts, table)).toContain(`${table}_delivered (first_delivered_at`);
  }
  await database.close();
  taken();
  await account.call("GET", `/v1/auth/request/status?publicKey=${encodeURIComponent(newKey())}`);
  for (const text of taken()) expect(planOf(text).filter((step) => step.startsWith("SCAN"))).toEqual([]);
});
