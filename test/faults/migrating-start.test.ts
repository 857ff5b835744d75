// A start that brings an old database up to date serves it as safely as any other: its locks are the kernel's too, another program
// that opens and closes the file takes nothing away, kill -9 loses nothing, and a start that fails or is killed leaves no copies.
import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { copyFileSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { migrations } from "../../src/happy/store/migrations.ts";
import { newAccount } from "../support/happy-client.ts";
import { holdsDatabase } from "../support/kernel-locks.ts";
import { nothingLeftBehind } from "../support/left-behind.ts";
import { needs, onLinux } from "../support/needs.ts";
import { roostCommand, run, start } from "../support/process.ts";
import { until } from "../support/until.ts";
import { inspect } from "./database-file.ts";
import { powerTest } from "./power-loss/recording.ts";
import { refusedProcess, serveCommand } from "./server-process.ts";

const FIXTURES = join(import.meta.dir, "../fixtures");
const BOUND_MS = 60_000;
const MESSAGES = 50;

const { freshFolder, started, undo } = nothingLeftBehind("migrating", {
  env: { ROOST_LOG_LEVEL: "warn", ROOST_RATE_LIMITS: "false", HANDY_MASTER_SECRET: "first" },
});

/** A data folder with the first release's databases. */
function oldFolder(): string {
  const dataDir = freshFolder();
  for (const name of ["happy", "topics"])
    copyFileSync(join(FIXTURES, `${name}-v1.db`), join(dataDir, `${name}.db`));
  return dataDir;
}

/** Another program opens, works, closes. Not Bun: its SQLite asks for one more lock than older ones before it takes the log away. */
function visit(path: string, sql: string): void {
  const { exitCode, stderr } = Bun.spawnSync(["sqlite3", path, sql]);
  if (exitCode !== 0) throw new Error(stderr.toString());
}

const copies = (dataDir: string) => readdirSync(dataDir).filter((name) => name.includes(".bak"));

onLinux.describe("after a migrating start", () => {
  test(
    "SQLite's locks are in the kernel's table, of both databases",
    async () => {
      const dataDir = oldFolder();
      const { pid } = await started(dataDir, { ROOST_TOPICS_ENABLED: "true" });
      expect(copies(dataDir)).toHaveLength(1);
      for (const name of ["happy.db", "topics.db"])
        expect([name, holdsDatabase(join(dataDir, name), pid)]).toEqual([name, true]);
    },
    BOUND_MS,
  );

  needs.program("sqlite3").test(
    `${MESSAGES} acknowledged messages survive another program's visits and kill -9`,
    async () => {
      const dataDir = oldFolder();
      const path = join(dataDir, "happy.db");
      let server = await started(dataDir);
      const log = statSync(`${path}-wal`).ino;
      const account = await newAccount(server.url);
      const opened = await account.call("POST", "/v1/sessions", { tag: "t", metadata: "m" });
      const sid: string = opened.body.session.id;
      for (let n = 1; n <= MESSAGES; n++) {
        const posted = await account.call("POST", `/v3/sessions/${sid}/messages`, {
          messages: [{ content: `c${n}`, localId: `m${n}` }],
        });
        expect(posted.status).toBe(200);
        if (n === 20) visit(path, "SELECT 1");
        if (n === 30) visit(path, "SELECT count(*) FROM messages");
        if (n === 40) visit(path, "PRAGMA wal_checkpoint(TRUNCATE)");
      }
      expect(statSync(`${path}-wal`).ino).toBe(log);
      await server.end("SIGKILL");
      expect(inspect(path).integrity).toEqual(["ok"]);
      server = await started(dataDir);
      const page = await fetch(`${server.url}/v3/sessions/${sid}/messages?limit=500`, {
        headers: { authorization: `Bearer ${account.token}` },
      });
      const { messages } = (await page.json()) as { messages: { localId: string }[] };
      expect(messages.map(({ localId }) => localId)).toEqual(
        Array.from({ length: MESSAGES }, (_, index) => `m${index + 1}`),
      );
    },
    BOUND_MS,
  );
});

test(
  "six starts whose migration fails leave no copy, and the database as it was",
  async () => {
    const dataDir = oldFolder();
    const path = join(dataDir, "happy.db");
    {
      // What a later migration makes is there already: it fails in the middle of its transaction.
      using sqlite = new Database(path);
      const [, name] =
        /CREATE TABLE (\w+)/.exec(
          migrations
            .slice(1)
            .map(({ up }) => up)
            .join("\n"),
        ) ?? [];
      sqlite.run(`CREATE TABLE ${name} (foreign_column TEXT)`);
    }
    for (let start = 1; start <= 6; start++) {
      const refused = await refusedProcess({ dataDir });
      expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining("already exists")]);
      expect(copies(dataDir)).toEqual([]);
    }
    using sqlite = new Database(path);
    expect(sqlite.query("PRAGMA user_version").values()).toEqual([[1]]);
  },
  BOUND_MS,
);

test(
  "kill -9 while the copy is made: the next start removes what there is of it, and makes its own",
  async () => {
    const dataDir = oldFolder();
    const path = join(dataDir, "happy.db");
    {
      using sqlite = new Database(path);
      const insert = sqlite.prepare(
        "INSERT INTO messages (id, session_pk, seq, local_id, content, created_at, updated_at) VALUES (?, 1, ?, NULL, ?, 1, 1)",
      );
      const content = "x".repeat(500_000);
      sqlite.transaction(() => {
        for (let n = 0; n < 300; n++) insert.run(`cfill${n}`, 100 + n, content);
      })();
    }
    const bytes = statSync(path).size;
    const child = start([...serveCommand(), "--port", "0", "--data-dir", dataDir]);
    undo(() => child.end("SIGKILL"));
    await until("a copy to be begun", () => {
      const [half] = copies(dataDir);
      return half !== undefined && (statSync(join(dataDir, half), { throwIfNoEntry: false })?.size ?? 0) > 0;
    });
    await child.end("SIGKILL");
    const left = copies(dataDir);
    await started(dataDir);
    const [kept, ...more] = copies(dataDir).filter((name) => name.startsWith("happy.db."));
    expect(more).toEqual([]);
    expect(left).not.toContain(kept);
    expect(kept).toEndWith(".bak");
    expect(statSync(join(dataDir, kept ?? "")).size).toBeGreaterThan(bytes * 0.9);
    expect(statSync(join(dataDir, kept ?? "")).mode & 0o777).toBe(0o600);
    expect(inspect(join(dataDir, kept ?? "")).integrity).toEqual(["ok"]);
  },
  BOUND_MS,
);

powerTest(
  "the copy and its name are on disk before the change is committed",
  async () => {
    const dataDir = oldFolder();
    const trace = join(dataDir, "trace");
    const calls = "trace=openat,rename,renameat,renameat2,write,pwrite64,fsync,fdatasync,close";
    const traced = ["strace", "-f", "-y", "-e", calls, "-o", trace, ...roostCommand()];
    expect((await run([...traced, "migrate", "--data-dir", dataDir])).code).toBe(0);
    const lines = (await Bun.file(trace).text()).split("\n");
    const last = (pattern: RegExp) => lines.findLastIndex((line) => pattern.test(line));
    const renamed = last(/rename.*\.bak\.tmp.*\.bak"/);
    const order = [
      last(/pwrite64\(\d+<[^>]*\.bak\.tmp>/),
      last(/f(data)?sync\(\d+<[^>]*\.bak\.tmp>/),
      renamed,
      lines.findIndex((line, at) => at > renamed && line.includes(`<${dataDir}>`) && /\bfsync\(/.test(line)),
      lines.findIndex((line, at) => at > renamed && /pwrite64\(\d+<[^>]*happy\.db-wal>/.test(line)),
    ];
    expect(order).not.toContain(-1);
    expect(order).toEqual(order.toSorted((a, b) => a - b));
  },
  BOUND_MS,
);
