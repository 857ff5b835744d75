// Where the server must not run it says why in one sentence, ends with code 1, and leaves what it found as it was.
import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { nothingLeftBehind } from "../support/left-behind.ts";
import { needs } from "../support/needs.ts";
import { refusedProcess } from "./server-process.ts";

const BOUND_MS = 30_000;

const { freshFolder, started } = nothingLeftBehind("refused");

/** The files in the folder, apart from the lock that every try leaves. */
function contents(folder: string): Record<string, string> {
  const files = readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.startsWith("roost."))
    .map(({ name }) => name)
    .sort();
  return Object.fromEntries(files.map((name) => [name, readFileSync(join(folder, name)).toString("hex")]));
}

/**
 * Root may write everywhere; tests of rights take that capability away then, and nothing else: another user might not reach this
 * folder or Bun itself. Undefined when that cannot be done.
 */
function withoutRights(): readonly string[] | undefined {
  if (process.getuid?.() !== 0) return [];
  const without = "-dac_override,-dac_read_search,-fowner";
  const wrapper = ["setpriv", `--bounding-set=${without}`, `--inh-caps=${without}`, "--"];
  try {
    return Bun.spawnSync([...wrapper, process.execPath, "--version"]).exitCode === 0 ? wrapper : undefined;
  } catch {
    return undefined;
  }
}

test(
  "a second server on the same folder",
  async () => {
    const dataDir = freshFolder();
    const first = await started(dataDir);
    const before = contents(dataDir)["master-secret"];
    const { code, stdout, stderr } = await refusedProcess({ dataDir });
    expect([code, stdout, stderr]).toEqual([
      1,
      "",
      `roost: Another Roost (process ${first.pid}) is using the data folder ${dataDir}. Stop it, or give this one another folder with --data-dir.\n`,
    ]);
    expect(contents(dataDir)["master-secret"]).toBe(before);
    expect((await fetch(`${first.url}/health`)).status).toBe(200);
  },
  BOUND_MS,
);

test(
  "a port that another program uses",
  async () => {
    const taken = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
    try {
      const refused = await refusedProcess({ dataDir: freshFolder(), port: taken.port });
      expect(refused).toEqual({
        code: 1,
        stdout: "",
        stderr: `roost: Port ${taken.port} is already in use. Stop the other program, or choose another port with --port.\n`,
      });
    } finally {
      taken.stop(true);
    }
  },
  BOUND_MS,
);

const wrapper = withoutRights();

needs
  .machine("processes without rights", () => wrapper !== undefined && process.platform !== "win32")
  .test(
    "a data folder that this user may not write, and one that it may not make",
    async () => {
      const parent = freshFolder();
      const readOnly = join(parent, "read-only");
      mkdirSync(readOnly);
      chmodSync(readOnly, 0o555);
      chmodSync(parent, 0o555);
      try {
        for (const dataDir of [readOnly, join(parent, "new")]) {
          const refused = await refusedProcess({ dataDir, wrapper: wrapper ?? [] });
          expect(refused).toEqual({
            code: 1,
            stdout: "",
            stderr: `roost: The data folder ${dataDir} is not writable. Change its owner, or choose another one with --data-dir.\n`,
          });
        }
        expect(readdirSync(parent)).toEqual(["read-only"]);
        expect(readdirSync(readOnly)).toEqual([]);
      } finally {
        chmodSync(parent, 0o755);
        chmodSync(readOnly, 0o755);
      }
    },
    BOUND_MS,
  );

test(
  "a data folder that is a file",
  async () => {
    const dataDir = join(freshFolder(), "file");
    writeFileSync(dataDir, "text");
    const { code, stderr } = await refusedProcess({ dataDir });
    expect([code, stderr]).toEqual([
      1,
      `roost: The data folder ${dataDir} is not a folder. Choose another one with --data-dir.\n`,
    ]);
    expect(readFileSync(dataDir, "utf8")).toBe("text");
  },
  BOUND_MS,
);

test(
  "a database that a newer Roost wrote",
  async () => {
    const dataDir = freshFolder();
    await (await started(dataDir)).end("SIGTERM");
    const path = join(dataDir, "happy.db");
    let version: number | undefined;
    {
      using sqlite = new Database(path);
      version = sqlite.query<{ user_version: number }, []>("PRAGMA user_version").get()?.user_version;
      sqlite.run("PRAGMA user_version = 999");
    }
    const before = contents(dataDir);
    const { code, stdout, stderr } = await refusedProcess({ dataDir });
    expect([code, stdout, stderr]).toEqual([
      1,
      "",
      `roost: The database ${path} was written by a newer Roost (version 999, this one knows ${version}). Use the newer executable; nothing was changed.\n`,
    ]);
    expect(contents(dataDir)).toEqual(before);
  },
  BOUND_MS,
);

for (const journal of ["delete", "wal"]) {
  test(
    `a database of another program (journal_mode ${journal})`,
    async () => {
      const dataDir = freshFolder();
      const path = join(dataDir, "happy.db");
      {
        using sqlite = new Database(path);
        sqlite.run(`PRAGMA journal_mode = ${journal}`);
        sqlite.run("CREATE TABLE notes (text TEXT)");
        sqlite.run("INSERT INTO notes VALUES ('mine')");
      }
      const before = contents(dataDir)["happy.db"];
      const { code, stdout, stderr } = await refusedProcess({ dataDir });
      expect([code, stdout, stderr]).toEqual([
        1,
        "",
        `roost: The file ${path} is not a Roost database. Move it away, or choose another --data-dir.\n`,
      ]);
      expect(contents(dataDir)["happy.db"]).toBe(before);
      expect(Object.keys(contents(dataDir))).not.toContain("happy.db-wal");
    },
    BOUND_MS,
  );
}

test(
  "a file that is no database at all",
  async () => {
    const dataDir = freshFolder();
    const path = join(dataDir, "happy.db");
    writeFileSync(path, "this is not a database, but somebody may need it\n".repeat(100));
    const before = contents(dataDir)["happy.db"];
    const { code, stdout, stderr } = await refusedProcess({ dataDir });
    expect([code, stdout]).toEqual([1, ""]);
    expect(stderr).toMatch(/^roost: The file .*happy\.db cannot be opened as a database: [^\n]+\.\n$/);
    expect(contents(dataDir)["happy.db"]).toBe(before);
  },
  BOUND_MS,
);
