// `roost migrate`: up without a word, as the original's launcher says it; status; and down, which an older Roost can open.
import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { copyFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { migrations } from "../src/happy/store/migrations.ts";
import { lockFolder } from "../src/storage/lock.ts";
import { nothingLeftBehind } from "./support/left-behind.ts";
import { runRoost } from "./support/process.ts";

const NEWEST = migrations.length;
const last = migrations.at(-1)?.name;

const { freshFolder } = nothingLeftBehind("migrate");

const migrate = (dataDir: string, ...words: string[]) =>
  runRoost(["migrate", ...words, "--data-dir", dataDir]);

const versionOf = (dataDir: string) => {
  using sqlite = new Database(join(dataDir, "happy.db"), { readwrite: true });
  return sqlite.query("PRAGMA user_version").values()[0]?.[0];
};

test("an empty folder: status says so, migrate alone makes a current database, twice is as good", async () => {
  const dataDir = freshFolder();
  expect((await migrate(dataDir, "status")).stdout).toBe(
    "happy: not there yet\nhapi: not there yet\ntopics: not there yet\nrpc: not there yet\n",
  );
  expect(await migrate(dataDir)).toEqual({
    code: 0,
    stdout: `The database went from version 0 to ${NEWEST}.\n`,
    stderr: "",
  });
  expect(await migrate(dataDir, "up")).toMatchObject({
    code: 0,
    stdout: `The database is at version ${NEWEST}, which is current.\n`,
  });
  expect((await migrate(dataDir, "status")).stdout).toStartWith(
    `happy: version ${NEWEST}; this Roost knows ${NEWEST}\n  applied  0001_first\n`,
  );
}, 30_000);

test("the first release's databases: up keeps copies, down goes back one step at a time, the first stays", async () => {
  const dataDir = freshFolder();
  for (const name of ["happy", "topics"])
    copyFileSync(join(import.meta.dir, "fixtures", `${name}-v1.db`), join(dataDir, `${name}.db`));
  const status = await migrate(dataDir, "status");
  expect(status.stdout).toStartWith(`happy: version 1; this Roost knows ${NEWEST}\n  applied  0001_first\n`);
  if (NEWEST > 1) expect(status.stdout).toContain(`  pending  ${last}\n`);
  const up = await migrate(dataDir);
  expect(up).toMatchObject({ code: 0, stderr: "" });
  expect(up.stdout).toContain(`The database went from version 1 to ${NEWEST}. The old file is kept as `);
  for (let version = NEWEST - 1; version >= 1; version--) {
    const down = await migrate(dataDir, "down");
    expect([down.code, down.stderr]).toEqual([0, ""]);
    expect(down.stdout).toContain(
      `from version ${version + 1} back to ${version}. The newer file is kept as `,
    );
    expect(versionOf(dataDir)).toBe(version);
  }
  const first = await migrate(dataDir, "down");
  expect(first).toEqual({
    code: 1,
    stdout: "",
    stderr: "roost: 0001_first cannot be undone: nothing comes before it.\n",
  });
  expect(versionOf(dataDir)).toBe(1);
}, 30_000);

test("down is refused beside a running server, and words it does not know are a usage error", async () => {
  const dataDir = freshFolder();
  await migrate(dataDir);
  const files = readdirSync(dataDir).sort();
  const lock = lockFolder(dataDir);
  try {
    const refused = await migrate(dataDir, "down");
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining("is using the data folder")]);
  } finally {
    lock.release();
  }
  expect(versionOf(dataDir)).toBe(NEWEST);
  for (const words of [["sideways"], ["up", "happy"], ["down", "nothing"], ["down", "happy", "now"]])
    expect((await migrate(dataDir, ...words)).code).toBe(2);
  expect(readdirSync(dataDir).sort()).toEqual(files);
}, 30_000);
