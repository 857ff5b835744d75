// The doctor's look at this machine: silent about a healthy one, and for each thing that can be wrong the right finding.
import { Database as Sqlite } from "bun:sqlite";
import { afterEach, beforeEach, expect, test } from "bun:test";
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Config } from "../../test/support/config.ts";
import { parseConfig } from "../../test/support/config.ts";
import { testServer } from "../../test/support/server.ts";
import type { Finding } from "./finding.ts";
import {
  checkBackups,
  checkClock,
  checkDatabases,
  checkDisk,
  checkFolder,
  checkOwnCertificate,
  checkPermissions,
  checkPort,
} from "./this-machine.ts";

let dataDir: string;
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), "roost-doctor-"));
});
afterEach(() => rmSync(dataDir, { recursive: true, force: true }));

const config = (overrides: Partial<Config> = {}): Config => ({ ...parseConfig({}), dataDir, ...overrides });
const databasesIn = (of: Config) => ["happy.db", "topics.db"].map((name) => join(of.dataDir, name));
const result = ({ result: kind, says }: Finding) => [kind, says] as const;
const about = (text: string) => expect.stringContaining(text);

test("the folder: writable, absent, a file, and not writable", () => {
  expect(result(checkFolder(config()))).toEqual(["ok", about("can be written")]);
  expect(readdirSync(dataDir)).toEqual([]);
  expect(result(checkFolder(config({ dataDir: join(dataDir, "none") })))).toEqual([
    "warning",
    about("not there yet"),
  ]);
  const file = join(dataDir, "file");
  writeFileSync(file, "");
  expect(result(checkFolder(config({ dataDir: file })))).toEqual(["failure", about("is not a folder")]);
  // Nobody may write there, not even root.
  if (process.platform === "linux")
    expect(checkFolder(config({ dataDir: "/proc" }))).toMatchObject({
      result: "failure",
      says: about("cannot be written"),
      fix: about("chown"),
    });
});

test("permissions: private, an open folder, open files in it, an open key", () => {
  writeFileSync(join(dataDir, "happy.db"), "", { mode: 0o600 });
  writeFileSync(join(dataDir, "master-secret"), "", { mode: 0o600 });
  chmodSync(dataDir, 0o700);
  expect(result(checkPermissions(config()))).toEqual(["ok", about("Only their owner")]);
  chmodSync(dataDir, 0o755);
  expect(result(checkPermissions(config()))).toEqual(["warning", about("may look into")]);
  chmodSync(join(dataDir, "master-secret"), 0o644);
  expect(checkPermissions(config())).toMatchObject({
    result: "failure",
    says: about("master-secret"),
    fix: `chmod go-rwx ${join(dataDir, "master-secret")}`,
  });
  chmodSync(dataDir, 0o700);
  expect(result(checkPermissions(config()))[0]).toBe("ok");
  const tlsKey = join(dataDir, "tls.pem");
  writeFileSync(tlsKey, "", { mode: 0o644 });
  expect(result(checkPermissions(config({ tlsKey })))).toEqual(["failure", about("tls.pem")]);
});

test("the clock: right, wrong, and nothing to compare it with", async () => {
  let date = new Date();
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: () => new Response("", { headers: { date: date.toUTCString() } }),
  });
  const expoUrl = `http://127.0.0.1:${server.port}`;
  try {
    expect(result(await checkClock(expoUrl))).toEqual(["ok", about("right within")]);
    date = new Date(Date.now() + 15 * 60_000);
    expect(result(await checkClock(expoUrl))).toEqual(["failure", about("s behind")]);
    date = new Date(Date.now() - 15 * 60_000);
    expect(result(await checkClock(expoUrl))).toEqual(["failure", about("s ahead")]);
  } finally {
    await server.stop(true);
  }
  expect(result(await checkClock(expoUrl))).toEqual(["skipped", about("does not answer")]);
});

test("the disk: room, and less than uploads need", () => {
  expect(result(checkDisk(config({ minFreeBytes: 0 })))[1]).toContain("of the disk are free");
  expect(result(checkDisk(config({ minFreeBytes: 2 ** 60 })))).toEqual([
    "failure",
    about("uploads are refused"),
  ]);
});

test("the port: free, held by Roost, held by another program", async () => {
  const server = await testServer();
  const port = Number(new URL(server.url).port);
  const at = config({ host: "127.0.0.1", port });
  try {
    expect(result(await checkPort(at))).toEqual(["ok", `Roost runs on port ${port}.`]);
  } finally {
    await server.stop();
  }
  expect(result(await checkPort(at))).toEqual(["ok", about("is free")]);
  const other = Bun.serve({ hostname: "127.0.0.1", port, fetch: () => new Response("other") });
  try {
    expect(result(await checkPort(at))).toEqual(["failure", about("Another program holds")]);
  } finally {
    await other.stop(true);
  }
});

test("the database: none, sound beside a running server, damaged, no database", async () => {
  expect([...checkDatabases(databasesIn(config()))].map(result)).toEqual([
    ["skipped", about("no database yet")],
  ]);
  const server = await testServer();
  try {
    expect([...checkDatabases(databasesIn(config({ dataDir: server.dataDir })))].map(result)).toEqual([
      ["ok", about("is sound")],
    ]);
    const health = await fetch(`${server.url}/ready`);
    expect(health.status).toBe(200);
  } finally {
    await server.stop();
  }
  const path = join(dataDir, "happy.db");
  const sqlite = new Sqlite(path, { create: true });
  sqlite.run("CREATE TABLE rows (text TEXT); CREATE INDEX by_text ON rows (text)");
  const insert = sqlite.prepare("INSERT INTO rows VALUES (?)");
  sqlite.transaction(() => {
    for (let row = 0; row < 2_000; row++) insert.run(`row ${row} ${"x".repeat(50)}`);
  })();
  sqlite.close();
  expect([...checkDatabases(databasesIn(config()))].map(result)).toEqual([["ok", about("is sound")]]);
  expect(readdirSync(dataDir)).toEqual(["happy.db"]);
  const bytes = new Uint8Array(await Bun.file(path).arrayBuffer());
  bytes.fill(0x5a, 8 * 4096, 12 * 4096);
  writeFileSync(path, bytes);
  expect([...checkDatabases(databasesIn(config()))]).toMatchObject([
    { result: "failure", fix: about("roost restore") },
  ]);
  writeFileSync(
    path,
    "this is no database, but long enough to look like a file that once was one".repeat(50),
  );
  expect([...checkDatabases(databasesIn(config()))].map(result)).toEqual([
    ["failure", about("cannot be read as a database")],
  ]);
});

test("backups: none named, none made, fresh, old, and one whose drill failed", () => {
  const backupDir = join(dataDir, "backups");
  expect(result(checkBackups(config()))).toEqual(["warning", "No backups are made."]);
  expect(result(checkBackups(config({ backupDir })))).toEqual(["warning", about("no finished backup")]);
  mkdirSync(backupDir);
  const made = (createdAt: number, ok: boolean) => {
    const archive = join(backupDir, "roost-20260101-000000000Z.tar.zst");
    writeFileSync(archive, "12345678");
    const drill = { at: createdAt, ok, problems: ok ? [] : ["A hash is wrong."], compared: 1, durationMs: 1 };
    const record = {
      createdAt,
      bytes: 8,
      roostVersion: "1",
      schemaVersions: { "happy.db": 1 },
      notes: [],
      drill,
    };
    writeFileSync(`${archive}.json`, JSON.stringify(record));
    return result(checkBackups(config({ backupDir })));
  };
  expect(made(Date.now() - 3_600_000, true)).toEqual([
    "warning",
    about("the last is 1 hours old and was restored in a drill. But it lies on the same disk"),
  ]);
  expect(made(Date.now() - 72 * 3_600_000, true)).toEqual(["failure", about("72 hours old")]);
  expect(made(Date.now(), false)).toEqual(["failure", about("cannot be restored: A hash is wrong.")]);
  expect(made(Date.now() + 60_000, true)).toEqual(["warning", about("the last is 0 hours old")]);
  for (const days of [1, 365])
    expect(made(Date.now() + days * 86_400_000, true)).toEqual([
      "failure",
      about("A backup is dated in the future"),
    ]);
});

test("its own certificate: none, behind a proxy, good, and files that are not there", () => {
  expect(result(checkOwnCertificate(config()))).toEqual(["skipped", about("speaks http")]);
  const publicUrl = "https://roost.example.org";
  expect(result(checkOwnCertificate(config({ publicUrl })))).toEqual([
    "skipped",
    about(`roost doctor ${publicUrl}`),
  ]);
  const [tlsCert, tlsKey] = [join(dataDir, "cert.pem"), join(dataDir, "key.pem")];
  expect(result(checkOwnCertificate(config({ tlsCert, tlsKey })))).toEqual([
    "failure",
    about("is not there"),
  ]);
  const fixtures = join(import.meta.dir, "../../test/fixtures/tls");
  for (const [from, to] of [
    ["first.crt", tlsCert],
    ["first.key", tlsKey],
  ] as const)
    copyFileSync(join(fixtures, from), to);
  expect(result(checkOwnCertificate(config({ tlsCert, tlsKey })))).toEqual([
    "ok",
    about("Certificate and key fit"),
  ]);
});
