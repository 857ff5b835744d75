// `roost prune` beside a running server: says what and whose before it does anything, does exactly that, and the server goes on. And
// the server's own rounds, which tell the clients what went.
import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { existsSync, mkdirSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type ServerProcess, startProcess } from "./faults/server-process.ts";
import { type Account, newAccount } from "./support/happy-client.ts";
import { nothingLeftBehind } from "./support/left-behind.ts";
import { runRoost } from "./support/process.ts";
import { testServer } from "./support/server.ts";
import { until } from "./support/until.ts";

const BOUND_MS = 60_000;
const DAY_MS = 86_400_000;

const { freshFolder, undo } = nothingLeftBehind("prune");

const prune = (dataDir: string, ...words: string[]) => runRoost(["prune", ...words, "--data-dir", dataDir]);

/** An archived session with 300 messages of 1 kB and an attachment, last heard so many days ago. */
async function oldSession(account: Account, dataDir: string, tag: string, daysAgo: number): Promise<string> {
  const { body } = await account.call("POST", "/v1/sessions", { tag, metadata: "m" });
  const { id } = body.session;
  for (let n = 0; n < 300; n += 100)
    await account.call("POST", `/v3/sessions/${id}/messages`, {
      messages: Array.from({ length: 100 }, (_, i) => ({ content: "x".repeat(1000), localId: `${n + i}` })),
    });
  await account.call("POST", `/v1/sessions/${id}/archive`);
  const at = new Date(Date.now() - daysAgo * DAY_MS);
  const folder = join(dataDir, "files/sessions", id, "attachments");
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "a.enc"), new Uint8Array(2000));
  for (const path of [join(folder, "a.enc"), folder, join(folder, "..")]) utimesSync(path, at, at);
  using sqlite = new Database(join(dataDir, "happy.db"), { readwrite: true });
  sqlite.run("PRAGMA busy_timeout = 5000");
  sqlite
    .query("UPDATE sessions SET last_active_at = ?1, updated_at = ?1 WHERE id = ?2")
    .run(at.getTime(), id);
  return id;
}

/** A file of no session, a day old. @returns its path. */
function orphan(dataDir: string, session: string): string {
  const folder = join(dataDir, "files/sessions", session, "attachments");
  const file = join(folder, "a.enc");
  mkdirSync(folder, { recursive: true });
  writeFileSync(file, new Uint8Array(500));
  const yesterday = new Date(Date.now() - DAY_MS);
  for (const path of [file, folder, join(folder, "..")]) utimesSync(path, yesterday, yesterday);
  return file;
}

test(
  "prune says what and whose would go, then deletes it beside a running server that does not falter",
  async () => {
    const dataDir = freshFolder();
    const first = orphan(dataDir, "first");
    const server: ServerProcess = await startProcess({
      dataDir,
      env: { ROOST_REGISTRATION: "open", ROOST_LOG_LEVEL: "info" },
    });
    undo(() => server.end("SIGKILL"));
    const [ada, bob] = [await newAccount(server.url), await newAccount(server.url)];
    const old = await oldSession(ada, dataDir, "old", 100);
    const young = await oldSession(bob, dataDir, "young", 1);
    // The next look of the server's own is hours away.
    await until("the server's first look, 5 s after its start", () => !existsSync(first));
    const gone = orphan(dataDir, "gone");

    const asked = await prune(dataDir, "--dry-run", "--retention-sessions-days", "30");
    expect([asked.code, asked.stderr]).toEqual([0, ""]);
    expect(asked.stdout.split("\n").map((line) => line.split(/ {2,}/))).toEqual([
      ["WHAT", "WHOSE", "COUNT", "SIZE"],
      ["sessions", ada.id, "1", "300.0 kB"],
      ["attachments", ada.id, "1", "2.0 kB"],
      ["orphaned files", "nobody", "1", "500 bytes"],
      [""],
    ]);
    expect((await ada.call("GET", "/v1/sessions")).body.sessions).toHaveLength(1);
    expect(existsSync(gone)).toBe(true);

    let writing = true;
    const load = (async () => {
      for (let n = 0; writing; n++) {
        const { status } = await bob.call("POST", `/v3/sessions/${young}/messages`, {
          messages: [{ content: "c", localId: `meanwhile-${n}` }],
        });
        expect(status).toBe(200);
      }
    })();
    const done = await prune(dataDir, "--retention-sessions-days", "30");
    writing = false;
    await load;
    expect([done.code, done.stderr]).toEqual([0, ""]);
    expect(done.stdout).toStartWith(
      "Deleted: 1 sessions, 300 messages, 0 usage reports, 0 feed entries, 0 HAPI sessions, 0 HAPI messages, 0 HAPI usage events, 0 HAPI expired work events, 2 files (2.5 kB).\n",
    );
    expect((await ada.call("GET", "/v1/sessions")).body.sessions).toEqual([]);
    expect((await ada.call("GET", `/v3/sessions/${old}/messages`)).status).toBe(404);
    expect((await bob.call("GET", "/v1/sessions")).body.sessions).toHaveLength(1);
    expect([existsSync(join(dataDir, "files/sessions", old)), existsSync(join(gone, "../.."))]).toEqual([
      false,
      false,
    ]);
    expect((await prune(dataDir, "--dry-run", "--retention-sessions-days", "30")).stdout).toBe(
      "Nothing would go.\n",
    );
    expect(server.logged(40)).toEqual([]);
  },
  BOUND_MS,
);

test(
  "a prune of a stopped server's folder makes its file smaller; without a database it says so",
  async () => {
    const dataDir = freshFolder();
    const server = await testServer({ dataDir });
    const account = await newAccount(server.url);
    for (let n = 0; n < 8; n++) await oldSession(account, dataDir, `t${n}`, 50);
    await server.stop();
    const before = statSync(join(dataDir, "happy.db")).size;
    const { code, stderr } = await prune(dataDir, "--retention-messages-days", "30");
    expect([code, stderr]).toEqual([0, ""]);
    const after = statSync(join(dataDir, "happy.db")).size;
    expect([before > 3_000_000, after < 1_900_000]).toEqual([true, true]);
    const none = await prune(freshFolder());
    expect([none.code, none.stderr]).toEqual([1, expect.stringContaining("There is no database in")]);
    expect((await prune(dataDir, "everything")).code).toBe(2);
  },
  BOUND_MS,
);

test(
  "a protocol that is off keeps what it has, whatever its clock or its file says; on, its limits are applied",
  async () => {
    const dataDir = freshFolder();
    const server = await testServer({ dataDir, topicsEnabled: true });
    await server.stop();
    const old = Date.now() - 40 * DAY_MS;
    const path = join(dataDir, "topics.db");
    const events = () => {
      using sqlite = new Database(path, { readonly: true });
      return sqlite.query<{ n: number }, []>("SELECT count(*) AS n FROM ws_events").get()?.n;
    };
    {
      using sqlite = new Database(path, { readwrite: true });
      sqlite.run(
        "INSERT INTO ws_events (topic, event_type, payload, created_at) VALUES ('chat', 'add', '{}', ?)",
        [old],
      );
    }
    const moments = { happy: Date.now() - DAY_MS, topics: old };
    writeFileSync(join(dataDir, "retention-clock.json"), JSON.stringify(moments));
    expect((await prune(dataDir, "--dry-run")).stdout).toBe("Nothing would go.\n");
    expect(await prune(dataDir)).toMatchObject({ code: 0, stderr: "" });
    const doubted = await prune(dataDir, "--topics-enabled");
    expect([doubted.code, doubted.stderr]).toEqual([1, expect.stringContaining("Nothing is deleted by")]);
    expect(await prune(dataDir, "--now-is-right")).toMatchObject({ code: 0 });
    expect(events()).toBe(1);
    expect((await prune(dataDir, "--topics-enabled")).stdout).toContain(", 1 topic events, ");
    expect(events()).toBe(0);
    writeFileSync(path, "no database");
    expect(await prune(dataDir)).toMatchObject({ code: 0, stderr: "" });
  },
  BOUND_MS,
);

test(
  "the server's own round deletes an old session, tells its clients, and removes its files",
  async () => {
    const server = await testServer({ happyRetentionSessionsDays: 30 });
    undo(() => server.stop());
    const account = await newAccount(server.url);
    // Before the first round, which comes some seconds after the start.
    const old = await oldSession(account, server.dataDir, "old", 100);
    const phone = await account.connect();
    undo(() => phone.close());
    const told = await phone.untilUpdate("delete-session", 20_000);
    expect(told.body).toMatchObject({ t: "delete-session", sid: old });
    expect((await account.call("GET", "/v1/sessions")).body.sessions).toEqual([]);
    const folder = join(server.dataDir, "files/sessions", old);
    const end = Date.now() + 10_000;
    while (existsSync(folder) && Date.now() < end) await Bun.sleep(20);
    expect(existsSync(folder)).toBe(false);
  },
  BOUND_MS,
);
