// Holds the checkpointer to a log that stays bounded and a stop that ends, whatever becomes of its thread.
import { Database } from "bun:sqlite";
import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pino from "pino";
import { until } from "../../test/support/until.ts";
import { Checkpointer } from "./checkpoint.ts";

// A busy machine is slow, not wrong.
setDefaultTimeout(30_000);

const MIB = 1024 * 1024;
const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

function scene() {
  const folder = mkdtempSync(join(tmpdir(), "roost-checkpoint-"));
  folders.push(folder);
  const path = join(folder, "a.db");
  const sqlite = new Database(path, { create: true });
  sqlite.run("PRAGMA journal_mode = WAL");
  sqlite.run("PRAGMA synchronous = OFF");
  sqlite.run("PRAGMA wal_autocheckpoint = 0");
  sqlite.run("CREATE TABLE notes (text TEXT)");
  const said: string[] = [];
  const log = pino({}, { write: (line: string) => said.push(line) });
  const write = (mib: number) => {
    for (let n = 0; n < mib; n++) sqlite.query("INSERT INTO notes VALUES (?)").run("x".repeat(MIB));
  };
  const bytes = () => ({ database: statSync(path).size, log: statSync(`${path}-wal`).size });
  return { path, sqlite, log, said, write, bytes };
}

const thread = (script: string) => new Worker(URL.createObjectURL(new Blob([script])));
const DIES = "self.onmessage = () => process.exit(0);";
const SILENT = "self.onmessage = () => {};";
const REAL = () => new Worker(new URL("./checkpoint-worker.ts", import.meta.url).href);

for (const [name, script] of [
  ["dies without a word", DIES],
  ["never answers", SILENT],
] as const)
  test(`a thread that ${name} is replaced, and the log is moved by the next one`, async () => {
    const { path, sqlite, log, said, write, bytes } = scene();
    let begun = 0;
    const worker = () => (begun++ === 0 ? thread(script) : REAL());
    const checkpointer = new Checkpointer(sqlite, path, log, { worker, answerMs: 500, restMs: 10 });
    write(6);
    await until("the checkpoint", () => {
      checkpointer.committed();
      return bytes().database > 5 * MIB;
    });
    expect(begun).toBe(2);
    expect(said.join("")).toContain("checkpoint failed; it will be tried again");
    await checkpointer.stop();
    sqlite.close(true);
  });

test("while no thread lives the log is moved on the main thread before it is large, and threads are not begun without end", async () => {
  const { path, sqlite, log, write, bytes } = scene();
  let begun = 0;
  const worker = () => {
    begun++;
    return thread(DIES);
  };
  const checkpointer = new Checkpointer(sqlite, path, log, { worker, answerMs: 500 });
  for (let round = 0; round < 12; round++) {
    write(8);
    checkpointer.committed();
    await Bun.sleep(300);
  }
  expect(bytes().log).toBeLessThan(64 * MIB);
  expect(begun).toBeLessThan(6);
  await checkpointer.stop();
  sqlite.close(true);
}, 30_000);

test("a stop does not wait for a thread that has ended without a word", async () => {
  const { path, sqlite, log, write } = scene();
  const checkpointer = new Checkpointer(sqlite, path, log, { worker: () => thread(DIES) });
  write(6);
  checkpointer.committed();
  await Bun.sleep(400);
  const began = performance.now();
  await checkpointer.stop();
  expect(performance.now() - began).toBeLessThan(5_000);
  sqlite.close(true);
});
