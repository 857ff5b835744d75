// A running server under write load is backed up and restored somewhere else: the other server knows every acknowledged message up to
// the snapshot, with its tokens, its files and nothing that was never stored. A bad archive changes nothing.
import { expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { listBackups } from "../src/backup/folder.ts";
import { inspectCopy } from "./faults/database-file.ts";
import { type Account, accountWith, newAccount } from "./support/happy-client.ts";
import { nothingLeftBehind } from "./support/left-behind.ts";
import { roostCommand, runRoost, start } from "./support/process.ts";
import { until } from "./support/until.ts";

const BOUND_MS = 60_000;
const OPEN = { ROOST_REGISTRATION: "open", ROOST_LOG_LEVEL: "info" };

const { freshFolder, started } = nothingLeftBehind("backup", { env: OPEN });
const roost = (...words: string[]) => runRoost(words, { cwd: freshFolder() });

async function openSession(account: Account, tag: string): Promise<string> {
  const { body } = await account.call("POST", "/v1/sessions", { tag, metadata: "m" });
  return body.session.id;
}

const post = (account: Account, session: string, localId: string, content = "x".repeat(500)) =>
  account.call("POST", `/v3/sessions/${session}/messages`, { messages: [{ content, localId }] });

async function upload(account: Account, session: string, content: Uint8Array): Promise<string> {
  const asked = await account.call("POST", `/v1/sessions/${session}/attachments/request-upload`, {
    filename: "a.png",
    size: content.byteLength,
  });
  const stored = await fetch(asked.body.uploadUrl, {
    method: "PUT",
    headers: { authorization: `Bearer ${account.token}`, "content-type": "application/octet-stream" },
    body: content.slice().buffer,
  });
  expect(stored.status).toBe(200);
  return new URL(asked.body.uploadUrl).pathname;
}

async function localIds(account: Account, session: string): Promise<string[]> {
  const found: string[] = [];
  for (;;) {
    const { body } = await account.call(
      "GET",
      `/v3/sessions/${session}/messages?limit=500&after_seq=${found.length}`,
    );
    for (const { localId } of body.messages) found.push(localId);
    if (!body.hasMore) return found;
  }
}

/** Every file below a folder with its mode. */
function modes(folder: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const name of readdirSync(folder, { recursive: true }) as string[])
    found[name] = (statSync(join(folder, name)).mode & 0o777).toString(8);
  return found;
}

test(
  "a server under write load is backed up, and another one restored from it serves the same",
  async () => {
    const home = freshFolder();
    const dataDir = join(home, "data");
    mkdirSync(dataDir, { mode: 0o700 });
    writeFileSync(join(dataDir, "roost.yaml"), "logLevel: info\n", { mode: 0o600 });
    const server = await started(dataDir, { ROOST_TOPICS_ENABLED: "true" });
    const account = await newAccount(server.url);
    const sessions = await Promise.all(["a", "b", "c"].map((tag) => openSession(account, tag)));
    const picture = crypto.getRandomValues(new Uint8Array(300_000));
    const path = await upload(account, sessions[0] ?? "", picture);
    for (const session of sessions)
      for (let n = 0; n < 200; n++) await post(account, session, `${session}-${n}`);

    let writing = true;
    const acknowledged = new Map(sessions.map((session) => [session, 200]));
    const load = sessions.map(async (session) => {
      for (let n = 200; writing; n++) {
        expect((await post(account, session, `${session}-${n}`)).status).toBe(200);
        acknowledged.set(session, n + 1);
      }
    });
    const before = new Map(acknowledged);
    const archive = join(home, "roost.tar.zst");
    const made = await roost("backup", archive, "--data-dir", dataDir);
    const after = new Map(acknowledged);
    writing = false;
    await Promise.all(load);
    expect([made.code, made.stderr]).toEqual([0, ""]);
    expect(statSync(archive).mode & 0o777).toBe(0o600);
    expect(readdirSync(home).sort()).toEqual(["data", "roost.tar.zst"]);
    expect(await server.end("SIGTERM")).toBe(0);
    const worries = server.logged(40).map(({ msg }) => msg);
    expect(worries.filter((msg) => !msg.startsWith("nobody can log in to the topics API"))).toEqual([]);

    const restored = join(home, "restored");
    const put = await roost("restore", archive, "--data-dir", restored);
    expect([put.code, put.stderr]).toEqual([0, ""]);
    const there = modes(restored);
    expect(Object.keys(there)).toEqual(
      expect.arrayContaining(["happy.db", "topics.db", "master-secret", "roost.yaml", "files"]),
    );
    for (const [name, mode] of Object.entries(there))
      expect([name, mode]).toEqual([name, statSync(join(restored, name)).isDirectory() ? "700" : "600"]);
    for (const name of ["master-secret", "roost.yaml"])
      expect(readFileSync(join(restored, name), "utf8")).toBe(readFileSync(join(dataDir, name), "utf8"));

    const second = await started(restored);
    const again = accountWith(second.url, account.token);
    for (const session of sessions) {
      const found = await localIds(again, session);
      // Gapless from the first on, at least what was acknowledged when the backup began, at most what was sent when it ended.
      expect(found).toEqual(found.map((_, n) => `${session}-${n}`));
      expect(found.length).toBeGreaterThanOrEqual(before.get(session) ?? 0);
      expect(found.length).toBeLessThanOrEqual((after.get(session) ?? 0) + 1);
    }
    const file = await fetch(`${second.url}${path}`, {
      headers: { authorization: `Bearer ${account.token}` },
    });
    expect(Buffer.from(await file.arrayBuffer()).equals(picture)).toBe(true);
    expect(inspectCopy(restored)).toMatchObject({
      integrity: ["ok"],
      brokenReferences: 0,
      doubledLocalIds: 0,
    });
  },
  BOUND_MS,
);

test(
  "what is only in the write-ahead log yet is in the archive",
  async () => {
    const home = freshFolder();
    const dataDir = join(home, "data");
    const server = await started(dataDir);
    const account = await newAccount(server.url);
    const session = await openSession(account, "t");
    for (let n = 0; n < 5; n++) expect((await post(account, session, `m-${n}`)).status).toBe(200);
    const logged = statSync(join(dataDir, "happy.db-wal")).size;
    const backupDir = join(home, "backups");
    const made = await roost("backup", "--data-dir", dataDir, "--backup-dir", backupDir);
    expect([made.code, made.stderr]).toEqual([0, ""]);
    // Looking does not checkpoint: the log belongs to the server, and to whoever replicates it.
    expect(statSync(join(dataDir, "happy.db-wal")).size).toBe(logged);
    const archive = join(backupDir, listBackups(backupDir)[0]?.file ?? "");
    const restored = join(home, "restored");
    expect((await roost("restore", archive, "--data-dir", restored)).code).toBe(0);
    expect(inspectCopy(restored).sessions).toMatchObject([{ id: session, seq: 5, highest: 5, messages: 5 }]);
  },
  BOUND_MS,
);

test(
  "the server takes backups by itself, drills each, lists them, and keeps the newest of the day",
  async () => {
    const home = freshFolder();
    const [dataDir, backupDir] = [join(home, "data"), join(home, "backups")];
    const first = await started(dataDir);
    const account = await newAccount(first.url);
    const session = await openSession(account, "t");
    for (let n = 0; n < 20; n++) await post(account, session, `m-${n}`);
    await first.end("SIGTERM");
    const second = await started(dataDir, { ROOST_BACKUP_DIR: backupDir });
    await until(
      "one backup, drilled",
      () => listBackups(backupDir).length === 1 && readdirSync(backupDir).length === 2,
    );
    await until("the log to say so", () => second.output.stdout.includes("its drill passed"));
    const [backup] = listBackups(backupDir);
    expect(backup?.drill).toMatchObject({ ok: true, problems: [], compared: 2 });
    expect(new Set(Object.values(modes(backupDir)))).toEqual(new Set(["600"]));

    const more = await roost("backup", "--data-dir", dataDir, "--backup-dir", backupDir);
    expect([more.code, more.stderr]).toEqual([0, ""]);
    expect(listBackups(backupDir)).toHaveLength(1);
    expect(listBackups(backupDir)[0]?.createdAt).toBeGreaterThan(backup?.createdAt ?? 0);

    const list = await roost("backup", "list", "--backup-dir", backupDir);
    expect(list.stdout).toMatch(
      /^AS OF +SIZE +DRILL +FILE\n\d{4}-\d\d-\d\dT[\d:.]+Z +[\d.]+ kB +passed \(2 compared\) +roost-\d{8}-\d{9}Z\.tar\.zst\n$/,
    );
    // A file that is not what was drilled any more is not shown as restorable.
    const file = join(backupDir, listBackups(backupDir)[0]?.file ?? "");
    truncateSync(file, statSync(file).size - 10);
    expect((await roost("backup", "list", "--backup-dir", backupDir)).stdout).toContain(
      "FAILED: The file has",
    );
    expect(second.logged(40)).toEqual([]);
  },
  BOUND_MS,
);

test(
  "a restore refuses a folder with data, and every archive that is not whole, and then leaves the folder empty",
  async () => {
    const home = freshFolder();
    const dataDir = join(home, "data");
    const server = await started(dataDir);
    const account = await newAccount(server.url);
    const session = await openSession(account, "t");
    await upload(account, session, new Uint8Array(5000).fill(7));
    const archive = join(home, "good.tar.zst");
    expect((await roost("backup", archive, "--data-dir", dataDir)).code).toBe(0);

    const refused = await roost("restore", archive, "--data-dir", dataDir);
    expect([refused.code, refused.stderr]).toEqual([
      1,
      expect.stringMatching(/^roost: The data folder .* is not empty /),
    ]);
    const twice = await roost("backup", archive, "--data-dir", dataDir);
    expect([twice.code, twice.stderr]).toEqual([1, expect.stringContaining("is there already")]);

    const good = readFileSync(archive);
    const tar = zstdDecompressSync(good);
    const changed = Buffer.from(tar);
    changed.fill(8, changed.indexOf(Buffer.alloc(5000, 7)), changed.indexOf(Buffer.alloc(5000, 7)) + 1);
    const bad: Record<string, [Buffer, string]> = {
      "cut in the middle": [good.subarray(0, good.length / 2), "cut off"],
      "one bit changed": [flipped(good), "roost: "],
      "a blob changed": [zstdCompressSync(changed), "does not have the hash"],
      "cut between two files": [zstdCompressSync(tar.subarray(0, 512)), "cut off"],
      "no archive": [Buffer.from("this is my diary\n".repeat(50)), "is damaged, cut off, or no archive"],
      "an empty tar": [zstdCompressSync(Buffer.alloc(1024)), "has no manifest"],
    };
    for (const [name, [bytes, problem]] of Object.entries(bad)) {
      const file = join(home, "bad.tar.zst");
      writeFileSync(file, bytes);
      const target = join(home, "target");
      const { code, stdout, stderr } = await roost("restore", file, "--data-dir", target);
      expect([name, code, stdout]).toEqual([name, 1, ""]);
      expect([name, stderr]).toEqual([name, expect.stringContaining(problem)]);
      expect(stderr.trimEnd().split("\n")).toHaveLength(1);
      expect([name, existsSync(target)]).toEqual([name, false]);
    }
    const missing = await roost("restore", join(home, "none"), "--data-dir", join(home, "target"));
    expect([missing.code, missing.stderr]).toEqual([
      1,
      `roost: There is no archive ${join(home, "none")}.\n`,
    ]);
    expect((await roost("restore")).code).toBe(2);
  },
  BOUND_MS,
);

test(
  "a damaged database with matching hashes is refused, and a drill finds it",
  async () => {
    const home = freshFolder();
    const dataDir = join(home, "data");
    await (await started(dataDir)).end("SIGTERM");
    const { createHash } = await import("node:crypto");
    const { writeTar } = await import("../src/backup/tar.ts");
    const database = readFileSync(join(dataDir, "happy.db"));
    database.fill(0xff, 8192, 12_288);
    const files = {
      "happy.db": { size: database.length, sha256: createHash("sha256").update(database).digest("hex") },
    };
    const manifest = Buffer.from(
      JSON.stringify({ format: 1, roostVersion: "0", createdAt: 1, schemaVersions: {}, notes: [], files }),
    );
    const entry = (name: string, bytes: Buffer) => ({
      name,
      size: bytes.length,
      mode: 0o600,
      modifiedMs: 0,
      content: new Blob([new Uint8Array(bytes)]).stream(),
    });
    const chunks: Uint8Array[] = [];
    const entries = (async function* () {
      yield entry("happy.db", database);
      yield entry("manifest.json", manifest);
    })();
    for await (const chunk of writeTar(entries)) chunks.push(chunk);
    const archive = join(home, "a.tar.zst");
    writeFileSync(archive, zstdCompressSync(Buffer.concat(chunks)));
    const target = join(home, "target");
    const { code, stderr } = await roost("restore", archive, "--data-dir", target);
    expect([code, stderr]).toEqual([
      1,
      expect.stringMatching(/^roost: happy\.db in the archive is damaged: /),
    ]);
    expect(existsSync(target)).toBe(false);

    const { drill } = await import("../src/backup/drill.ts");
    const { noProgress } = await import("../src/cli/progress.ts");
    const result = await drill(archive, { "happy.db": { before: {}, after: {} } }, [], noProgress);
    expect(result).toMatchObject({ ok: false, problems: [expect.stringContaining("is damaged")] });
    expect(readdirSync(home).sort()).toEqual(["a.tar.zst", "data"]);
  },
  BOUND_MS,
);

test(
  "a backup that is told to stop leaves nothing behind",
  async () => {
    const home = freshFolder();
    const dataDir = join(home, "data");
    const server = await started(dataDir);
    const account = await newAccount(server.url);
    const session = await openSession(account, "t");
    for (let n = 0; n < 30; n++)
      await upload(account, session, crypto.getRandomValues(new Uint8Array(4_000_000)));
    const target = join(home, "out");
    mkdirSync(target);
    const child = start([...roostCommand(), "backup", join(target, "a.tar.zst"), "--data-dir", dataDir]);
    let hasEnded = false;
    void child.exited.then(() => {
      hasEnded = true;
    });
    await until("it has begun", () => readdirSync(target).length > 0 || hasEnded);
    expect((await child.end()).code).toBe(143);
    expect(readdirSync(target)).toEqual([]);
  },
  BOUND_MS,
);

function flipped(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  const at = Math.floor(copy.length / 2);
  copy[at] = (copy[at] ?? 0) ^ 1;
  return copy;
}
