// Holds the memory of damage to the truth: a look through the whole file ends it when nothing is wrong, and nothing else does.
import { Database } from "bun:sqlite";
import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createLog } from "../observability/log.ts";
import { Condition } from "./condition.ts";
import { Soundness } from "./soundness.ts";

// A busy machine is slow, not wrong.
setDefaultTimeout(30_000);

const folder = mkdtempSync(join(tmpdir(), "roost-soundness-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const log = createLog("silent");

const sqliteError = (code: string) => Object.assign(new Error("as SQLite says it"), { code });

function file(name: string, isDamaged: boolean): string {
  const path = join(folder, name);
  const sqlite = new Database(path, { create: true });
  sqlite.run("CREATE TABLE notes (text TEXT); CREATE INDEX by_text ON notes (text)");
  const insert = sqlite.prepare("INSERT INTO notes VALUES (?)");
  for (let n = 0; n < 500; n++) insert.run(`${n} ${"x".repeat(100)}`);
  insert.finalize();
  sqlite.close(true);
  if (isDamaged) {
    const bytes = readFileSync(path);
    bytes.fill(0xff, 4 * 4096, 8 * 4096);
    writeFileSync(path, bytes);
  }
  return path;
}

/** How often the file was looked through, and what the condition is after some looks. */
async function after(path: string, looks: number): Promise<Condition> {
  let seen = 0;
  const { promise, resolve } = Promise.withResolvers<void>();
  const counting = createLog("silent");
  counting.error = () => {
    if (++seen === looks) resolve();
  };
  const soundness: Soundness = new Soundness(
    path,
    counting,
    (problem) => {
      if (problem !== undefined) return;
      condition.passedCheck();
      resolve();
    },
    10,
  );
  const condition = new Condition(log, { onDamage: () => soundness.look() });
  condition.noteRead(sqliteError("SQLITE_CORRUPT"));
  expect(condition.problem?.code).toBe("damaged");
  await promise;
  soundness.stop();
  return condition;
}

test("a page that could not be read once is forgotten when the whole file is sound", async () => {
  expect((await after(file("sound.db", false), 1)).problem).toBeUndefined();
});

test("a damaged file stays damaged at every look", async () => {
  const condition = await after(file("damaged.db", true), 3);
  condition.wrote();
  expect(condition.problem?.code).toBe("damaged");
});

test("a write that failed is remembered until one has reached the disk; what is no fault of the disk is not", () => {
  const condition = new Condition(log);
  for (const code of ["SQLITE_CONSTRAINT_UNIQUE", "SQLITE_ERROR", "SQLITE_BUSY", "ERR_OTHER"])
    condition.note(sqliteError(code));
  expect(condition.problem).toBeUndefined();
  for (const [code, known] of [
    ["SQLITE_FULL", "disk-full"],
    ["SQLITE_IOERR_WRITE", "failed"],
    ["SQLITE_IOERR_FSYNC", "failed"],
    ["SQLITE_READONLY_DBMOVED", "failed"],
    ["SQLITE_CANTOPEN", "failed"],
  ] as const) {
    condition.note(new Error("as drizzle wraps it", { cause: sqliteError(code) }));
    expect([code, condition.problem?.code]).toEqual([code, known]);
    condition.passedCheck();
    expect(condition.problem?.code).toBe(known);
    condition.wrote();
    expect(condition.problem).toBeUndefined();
  }
  for (const code of [
    "SQLITE_NOTADB",
    "SQLITE_CORRUPT_VTAB",
    "SQLITE_IOERR_READ",
    "SQLITE_IOERR_SHORT_READ",
  ]) {
    const damaged = new Condition(log);
    damaged.noteRead(sqliteError(code));
    damaged.wrote();
    expect([code, damaged.isDamaged]).toEqual([code, true]);
  }
});
