// The promise of the house: a protocol is one folder (here: one file) and one line in the list, and is then everywhere.

import { Database } from "bun:sqlite";
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { io, type Socket } from "socket.io-client";
import { freePort } from "../support/free-port.ts";

// Every command is a process of its own.
setDefaultTimeout(60_000);

/** The answer's JSON. */
// biome-ignore lint/suspicious/noExplicitAny: each test knows what it asked for.
const json = async (path: string): Promise<any> => (await fetch(`${server.url}${path}`)).json();

const MAIN = resolve(import.meta.dir, "../fixtures/notes-main.ts");
const home = mkdtempSync(join(tmpdir(), "roost-guest-"));
const dataDir = join(home, "data");
const backups = join(home, "backups");
const env = { PATH: process.env.PATH ?? "", ROOST_DATA_DIR: dataDir, ROOST_HOST: "127.0.0.1" };

async function roost(...words: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const child = Bun.spawn([process.execPath, MAIN, ...words], { env, stdout: "pipe", stderr: "pipe" });
  const [stdout, stderr, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return { code, stdout, stderr };
}

interface Running {
  readonly url: string;
  readonly said: string;
  stop(): Promise<number>;
}

async function serve(...words: string[]): Promise<Running> {
  const child = Bun.spawn([process.execPath, MAIN, "serve", "--port", "0", ...words], {
    env,
    stdout: "pipe",
    stderr: "inherit",
  });
  let said = "";
  const found = Promise.withResolvers<string>();
  const reading = (async () => {
    for await (const chunk of child.stdout) {
      said += Buffer.from(chunk).toString();
      const url = /http:\/\/127\.0\.0\.1:\d+/.exec(said)?.[0];
      if (url !== undefined && said.includes("/notes")) found.resolve(url);
    }
    found.reject(new Error(`it ended: ${said}`));
  })();
  const url = await found.promise;
  return {
    url,
    get said() {
      return said;
    },
    stop: async () => {
      child.kill("SIGTERM");
      const code = await child.exited;
      await reading;
      return code;
    },
  };
}

let server: Running;
beforeAll(async () => {
  server = await serve("--log-format", "json");
  for (const text of ["one", "two"])
    expect((await fetch(`${server.url}/notes`, { method: "POST", body: text })).status).toBe(201);
});
afterAll(async () => {
  await server.stop();
  rmSync(home, { recursive: true, force: true });
});

test("its path is served beside those of the others, and its greeting is read at the start", async () => {
  expect(await json("/notes")).toEqual([{ text: "one" }, { text: "two" }]);
  expect((await json("/health")).status).toBe("ok");
  expect(server.said).toContain(`  Notes: ${server.url}/notes`);
  expect(server.said).toContain('"area":"notes","msg":"notes are open"');
});

test("its namespace is on a path that another protocol also uses, and both have a share of the front page", async () => {
  const port = await freePort();
  const dir = join(home, "both");
  const tlsPort = await freePort();
  const ports = ["--notes-port", String(port), "--notes-tls-port", String(tlsPort)];
  const both = await serve("--data-dir", dir, "--topics-enabled", "true", ...ports);
  const overTls = `https://127.0.0.1:${tlsPort}`;
  const tls = { rejectUnauthorized: false };
  const own = `http://127.0.0.1:${port}`;
  const clients: Socket[] = [];
  const connect = (at: string, auth: object) => {
    const socket = io(at, { auth, transports: ["websocket"], reconnection: false, ...tls });
    clients.push(socket);
    return new Promise<string>((resolve) => {
      socket.once("connect", () => resolve("let in"));
      socket.once("connect_error", ({ message }) => resolve(message));
    });
  };
  try {
    expect(await connect(`${both.url}/notes`, { pen: "ink" })).toBe("let in");
    const heard = new Promise((resolve) => clients[0]?.once("note", resolve));
    // On the same connection.
    expect(await connect(both.url, { pen: "ink" })).toBe("unauthorized");
    expect((await fetch(`${both.url}/notes`, { method: "POST", body: "three" })).status).toBe(201);
    expect(await heard).toBe("three");
    const health = await (await fetch(`${both.url}/health`)).json();
    expect(health).toMatchObject({ status: "ok", service: "happy-server", notes: "open" });
    expect(await (await fetch(`${both.url}/notes.txt`)).text()).toBe("a page of notes");
    expect(await (await fetch(`${both.url}/`)).text()).toStartWith("Welcome");
    // Its own port serves it, and nothing else.
    expect(await (await fetch(own)).text()).toBe("the notes' own port");
    expect(await (await fetch(`${own}/notes`)).json()).toEqual([{ text: "three" }]);
    expect((await fetch(`${own}/v1/sessions`)).status).toBe(404);
    expect(await connect(`${own}/notes`, { pen: "none" })).toBe("No pen");
    expect(await connect(own, {})).toBe("Invalid namespace");
    // So does the one with TLS terms of its own, beside a server that speaks none.
    expect(await (await fetch(`${overTls}/notes`, { tls })).json()).toEqual([{ text: "three" }]);
    expect(await connect(`${overTls}/notes`, { pen: "ink" })).toBe("let in");
  } finally {
    for (const client of clients) client.close();
    expect(await both.stop()).toBe(0);
  }
});

test("its database and its own check are in /ready, its figures on the metrics page", async () => {
  const { checks } = await json("/ready");
  expect(checks).toMatchObject({ happy: "ok", notes: "ok", "notes-pen": "ok" });
});

test("its setting is in help and in `roost config`, under its earlier name too", async () => {
  const { stdout } = await roost("help");
  expect(stdout).toContain("  --notes-keep-days\n");
  expect(stdout).toContain("  notes      list the notes\n");
  expect(stdout).not.toContain("memos");
  const { stdout: shown } = await roost("config", "--memos-keep-days", "3");
  expect(shown).toContain("notesKeepDays: 3   (--memos-keep-days)");
  const { stderr } = await roost("config", "--note-keep-days", "3");
  expect(stderr).toContain("Did you mean --notes-keep-days?");
});

test("its command asks the running server by an admin route of its own, and its database when none runs", async () => {
  expect(await roost("notes")).toEqual({ code: 0, stdout: "one\ntwo\n", stderr: "" });
  expect(await server.stop()).toBe(0);
  expect(await roost("notes")).toEqual({ code: 0, stdout: "one\ntwo\n", stderr: "" });
  server = await serve("--log-format", "json");
});

test("the doctor tells its finding and looks at its database", async () => {
  const { stdout } = await roost("doctor", "--json", "--notes-keep-days", "1");
  const findings: { check: string; result: string; says: string }[] = JSON.parse(stdout);
  expect(findings).toContainEqual({
    check: "notes",
    result: "warning",
    says: "Notes go after a single day.",
    fix: "--notes-keep-days 7",
  } as never);
  expect(findings.find(({ says }) => says.includes("notes.db is sound"))?.result).toBe("ok");
});

test("its database is migrated, backed up, drilled and restored", async () => {
  expect((await roost("migrate", "status")).stdout).toContain("notes: version 1; this Roost knows 1\n");
  const made = await roost("backup", "--backup-dir", backups);
  expect([made.code, made.stderr]).toEqual([0, ""]);
  const [archive = ""] = readdirSync(backups).filter((name) => name.endsWith(".tar.zst"));
  expect((await roost("backup", "list", "--backup-dir", backups)).stdout).toContain("passed (1 compared)");
  const restored = join(home, "restored");
  const { code } = await roost("restore", join(backups, archive), "--data-dir", restored);
  expect(code).toBe(0);
  using sqlite = new Database(join(restored, "notes.db"), { readwrite: true });
  expect(sqlite.query("SELECT text FROM notes ORDER BY pk").values()).toEqual([["one"], ["two"]]);
});

test("`roost prune` says and deletes what its retention rule lets go, beside the running server", async () => {
  {
    using sqlite = new Database(join(dataDir, "notes.db"), { readwrite: true });
    sqlite.run("PRAGMA busy_timeout = 5000");
    sqlite.query("UPDATE notes SET created_at = ? WHERE text = 'one'").run(Date.now() - 10 * 86_400_000);
  }
  const planned = await roost("prune", "--dry-run", "--notes-keep-days", "7");
  expect(planned.stdout).toMatch(/^notes +everybody +1 +/m);
  const pruned = await roost("prune", "--notes-keep-days", "7");
  expect([pruned.code, pruned.stderr]).toEqual([0, ""]);
  expect(pruned.stdout).toContain("1 notes");
  expect(await json("/notes")).toEqual([{ text: "two" }]);
});

test("switched off, nothing of it is there", async () => {
  await server.stop();
  const elsewhere = join(home, "without");
  const child = Bun.spawn(
    [process.execPath, MAIN, "--notes-enabled", "false", "--data-dir", elsewhere, "--port", "0"],
    { env, stdout: "pipe", stderr: "inherit" },
  );
  let said = "";
  for await (const chunk of child.stdout) {
    said += Buffer.from(chunk).toString();
    if (/http:\/\/127\.0\.0\.1:\d+/.test(said)) break;
  }
  const url = /http:\/\/127\.0\.0\.1:\d+/.exec(said)?.[0] ?? "";
  expect((await fetch(`${url}/notes`)).status).toBe(404);
  child.kill("SIGTERM");
  expect(await child.exited).toBe(0);
  expect([existsSync(join(elsewhere, "notes.db")), said.includes("Notes")]).toEqual([false, false]);
  server = await serve();
});
