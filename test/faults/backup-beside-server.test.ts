// Backups beside a running server take nothing from it: its locks stay in the kernel's table, its log stays its log when another
// program visits, and whoever closes the database last syncs what it moves.
import { expect } from "bun:test";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { listBackups } from "../../src/backup/folder.ts";
import { newAccount } from "../support/happy-client.ts";
import { holdsDatabase } from "../support/kernel-locks.ts";
import { nothingLeftBehind } from "../support/left-behind.ts";
import { needs, onLinux } from "../support/needs.ts";
import { roostCommand, run, runRoost } from "../support/process.ts";
import { until } from "../support/until.ts";
import { inspect } from "./database-file.ts";
import { powerTest } from "./power-loss/recording.ts";
import { readCalls, TRACED } from "./power-loss/system-calls.ts";

const BOUND_MS = 60_000;

const { freshFolder, started } = nothingLeftBehind("beside", { env: { ROOST_LOG_LEVEL: "warn" } });

/** Posts so many messages to a new session. @returns how often it was acknowledged. */
async function post(url: string, messages: number): Promise<number> {
  const account = await newAccount(url);
  const opened = await account.call("POST", "/v1/sessions", { tag: crypto.randomUUID(), metadata: "m" });
  let acknowledged = 0;
  for (let n = 0; n < messages; n++) {
    const batch = { messages: [{ content: `c${n}`, localId: `m${n}` }] };
    const { status } = await account.call("POST", `/v3/sessions/${opened.body.session.id}/messages`, batch);
    if (status === 200) acknowledged++;
  }
  return acknowledged;
}

const visited = needs.all(onLinux, needs.program("sqlite3")).test;

visited(
  "after a scheduled backup and its drill the server holds its locks, and another program's visit takes nothing",
  async () => {
    const [dataDir, backupDir] = [join(freshFolder(), "data"), freshFolder()];
    const path = join(dataDir, "happy.db");
    const server = await started(dataDir, { ROOST_BACKUP_DIR: backupDir, ROOST_TOPICS_ENABLED: "true" });
    const before = await post(server.url, 20);
    await until("a backup passed its drill", () => listBackups(backupDir).some(({ drill }) => drill.ok));
    // By hand too, and a look of the doctor.
    const byHand = await runRoost(["backup", join(backupDir, "a.tar.zst"), "--data-dir", dataDir]);
    expect(byHand).toMatchObject({ code: 0, stderr: "" });
    await runRoost(["doctor", "--data-dir", dataDir]);
    for (const name of ["happy.db", "topics.db"])
      expect([name, holdsDatabase(join(dataDir, name), server.pid)]).toEqual([name, true]);
    const log = statSync(`${path}-wal`).ino;
    expect(Bun.spawnSync(["sqlite3", path, "SELECT 1"]).exitCode).toBe(0);
    expect(statSync(`${path}-wal`).ino).toBe(log);
    const after = await post(server.url, 20);
    await server.end("SIGKILL");
    const { integrity, sessions } = inspect(path);
    expect(integrity).toEqual(["ok"]);
    expect(sessions.reduce((sum, { messages }) => sum + messages, 0)).toBe(before + after);
  },
  BOUND_MS,
);

powerTest.each(["backup FILE", "doctor", "prune", "accounts list"])(
  "`roost %s` on what a killed server left syncs what it moves into the database before the log goes",
  async (words) => {
    const home = freshFolder();
    const dataDir = join(home, "data");
    const server = await started(dataDir);
    await post(server.url, 5);
    await server.end("SIGKILL");
    const path = join(dataDir, "happy.db");
    expect(statSync(`${path}-wal`).size).toBeGreaterThan(0);
    const trace = join(home, "trace");
    const named = words.split(" ").map((word) => (word === "FILE" ? join(home, "a.tar.zst") : word));
    const options = ["-f", "--seccomp-bpf", "-yy", "-xx", "-s", "100000", "-o", trace];
    const traced = ["strace", ...options, "-e", `trace=?${TRACED.join(",?")}`, "--"];
    await run([...traced, ...roostCommand(), ...named, "--data-dir", dataDir]);
    const { calls } = readCalls(readFileSync(trace, "latin1"), (target) => target.startsWith(path), 0);
    const moved = calls.findLast(({ name, target }) => /write/.test(name) && target === path);
    const gone = calls.find(
      ({ name, target, paths, offset }) =>
        (name.startsWith("unlink") && paths[0] === `${path}-wal`) ||
        (name === "ftruncate" && target === `${path}-wal` && offset === 0),
    );
    if (moved === undefined || gone === undefined) {
      // It left the log to the next start.
      expect(existsSync(`${path}-wal`)).toBe(true);
      return;
    }
    const synced = calls.find(
      ({ name, target, began, result }) =>
        name.includes("sync") && target === path && began > moved.over && result === 0,
    );
    expect(synced?.over ?? Number.POSITIVE_INFINITY).toBeLessThan(gone.began);
  },
  BOUND_MS,
);

/** Another program that opened the database and did this; it lets go when it is told to end. */
async function holder(path: string, sql: string): Promise<{ end(): Promise<void> }> {
  const child = Bun.spawn(["sqlite3", path], { stdin: "pipe", stdout: "pipe", stderr: "inherit" });
  child.stdin.write(`.bail on\n.timeout 5000\n${sql}\nSELECT 'held';\n`);
  await child.stdin.flush();
  for await (const chunk of child.stdout) if (Buffer.from(chunk).includes("held")) break;
  return {
    end: async () => {
      child.kill("SIGKILL");
      await child.exited;
    },
  };
}

visited(
  "a backup waits for no writer, and for a program that keeps readers out only a bounded time, with a sentence",
  async () => {
    const home = freshFolder();
    const dataDir = join(home, "data");
    const path = join(dataDir, "happy.db");
    const server = await started(dataDir);
    await post(server.url, 5);
    const backup = async (file: string) => {
      const began = performance.now();
      const { code, stderr } = await runRoost(["backup", join(home, file), "--data-dir", dataDir]);
      return { code, said: stderr, ms: performance.now() - began };
    };
    const writer = await holder(path, "BEGIN IMMEDIATE;");
    expect(await backup("beside-a-writer.tar.zst")).toMatchObject({ code: 0, said: "" });
    await writer.end();
    await server.end("SIGTERM");
    const alone = await holder(path, "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE;");
    const refused = await backup("alone.tar.zst");
    await alone.end();
    expect(refused.code).toBe(1);
    expect(refused.said).toContain("Another program keeps a database locked, also for readers.");
    expect(refused.ms).toBeLessThan(15_000);
    expect(readdirSync(home)).toEqual(expect.not.arrayContaining([expect.stringContaining(".roost-work-")]));
  },
  BOUND_MS,
);
