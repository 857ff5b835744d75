// What backups and restores leave behind: nothing, when they are killed and another one comes, and nothing beside the databases when
// they went well. A backup that is still at work is left alone.
import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { zstdCompressSync } from "node:zlib";
import { listBackups } from "../../src/backup/folder.ts";
import { writeTar } from "../../src/backup/tar.ts";
import { migrations } from "../../src/happy/store/migrations.ts";
import { createLog } from "../../src/observability/log.ts";
import { openDatabase } from "../../src/storage/database.ts";
import { nothingLeftBehind } from "../support/left-behind.ts";
import { roostCommand, runRoost, type Started, start } from "../support/process.ts";
import { until } from "../support/until.ts";

const BOUND_MS = 60_000;
const SCRATCH = ".roost-work-";

const { freshFolder, started, undo } = nothingLeftBehind("killed");

/** A data folder whose database takes a moment to copy, and an empty folder for backups. */
async function filledFolder(): Promise<{ dataDir: string; backupDir: string }> {
  const home = freshFolder();
  const [dataDir, backupDir] = [join(home, "data"), join(home, "backups")];
  mkdirSync(dataDir, { mode: 0o700 });
  mkdirSync(backupDir);
  const path = join(dataDir, "happy.db");
  await openDatabase({ path, migrations, log: createLog("silent") }).close();
  using sqlite = new Database(path);
  sqlite.run("CREATE TABLE filling (bytes BLOB)");
  for (let n = 0; n < 60; n++) sqlite.run("INSERT INTO filling VALUES (randomblob(1000000))");
  return { dataDir, backupDir };
}

function backup({ dataDir, backupDir }: { dataDir: string; backupDir: string }): Started {
  const child = start([...roostCommand(), "backup", "--data-dir", dataDir, "--backup-dir", backupDir]);
  undo(() => child.end("SIGKILL"));
  return child;
}

const scratchIn = (folder: string) => readdirSync(folder).filter((name) => name.startsWith(SCRATCH));

/** One that has begun to copy the database, and the name of the folder in which it works. */
async function begunBackup(place: { dataDir: string; backupDir: string }) {
  const known = scratchIn(place.backupDir);
  const child = backup(place);
  let name = "";
  await until("a copy is begun", () => {
    name = scratchIn(place.backupDir).find((one) => !known.includes(one) && !one.includes("-new-")) ?? "";
    return (
      name !== "" &&
      (readdirSync(join(place.backupDir, name), { recursive: true }) as string[]).some((one) =>
        one.endsWith("happy.db"),
      )
    );
  });
  return { child, name };
}

test(
  "a killed backup's copy goes when the next backup begins; that of one that is at work stays",
  async () => {
    const place = await filledFolder();
    const { child: living, name } = await begunBackup(place);
    living.signal("SIGSTOP");
    const { child: killed, name: left } = await begunBackup(place);
    await killed.end("SIGKILL");
    expect(scratchIn(place.backupDir)).toContain(left);
    expect(await backup(place).exited).toBe(0);
    expect(scratchIn(place.backupDir)).toEqual([name]);
    living.signal("SIGCONT");
    expect(await living.exited).toBe(0);
    expect(scratchIn(place.backupDir)).toEqual([]);
    // Both are of one day, which keeps the newest.
    expect(listBackups(place.backupDir).map(({ drill }) => drill.ok)).toEqual([true]);
    // The record of each, and nothing else.
    const names = readdirSync(place.backupDir);
    expect(names.filter((one) => one.endsWith(".zst")).map((one) => `${one}.json`)).toEqual(
      names.filter((one) => one.endsWith(".json")),
    );
  },
  BOUND_MS,
);

test(
  "a server that starts removes what killed backups and restores had left",
  async () => {
    const place = await filledFolder();
    const { child } = await begunBackup(place);
    await child.end("SIGKILL");
    expect(scratchIn(place.backupDir)).toHaveLength(1);
    const server = await started(place.dataDir, {
      ROOST_BACKUP_DIR: place.backupDir,
      ROOST_LOG_LEVEL: "info",
    });
    await until("it is gone", () => scratchIn(place.backupDir).length === 0);
    await until("the log says so", () => server.output.stdout.includes("a killed backup or restore"));
  },
  BOUND_MS,
);

test(
  "a restore leaves the databases and nothing beside them, also from an archive of a database in WAL mode",
  async () => {
    const { dataDir, backupDir } = await filledFolder();
    const bytes = readFileSync(join(dataDir, "happy.db"));
    // The two bytes of the header that say so.
    expect([bytes[18], bytes[19]]).toEqual([2, 2]);
    const file = join(backupDir, "by-hand.tar.zst");
    const facts = { size: bytes.byteLength, sha256: createHash("sha256").update(bytes).digest("hex") };
    const manifest = {
      format: 1,
      roostVersion: "0",
      createdAt: 1,
      schemaVersions: {},
      notes: [],
      files: { "happy.db": facts },
    };
    const entry = (name: string, content: Buffer) => ({
      name,
      size: content.byteLength,
      mode: 0o600,
      modifiedMs: 0,
      content: (async function* () {
        yield content;
      })(),
    });
    const chunks: Uint8Array[] = [];
    const entries = async function* () {
      yield entry("happy.db", bytes);
      yield entry("manifest.json", Buffer.from(JSON.stringify(manifest)));
    };
    for await (const chunk of writeTar(entries())) chunks.push(chunk);
    writeFileSync(file, zstdCompressSync(Buffer.concat(chunks)));
    const target = join(backupDir, "target");
    expect(await runRoost(["restore", file, "--data-dir", target])).toMatchObject({ code: 0, stderr: "" });
    expect(readdirSync(target).filter((name) => !name.startsWith("roost."))).toEqual(["happy.db"]);
    expect(existsSync(join(target, "happy.db-wal"))).toBe(false);
    expect(readFileSync(join(target, "happy.db")).equals(bytes)).toBe(true);
  },
  BOUND_MS,
);
