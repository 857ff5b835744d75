// A database in a folder of its own, in the format of another program that may use it before and after us: everything that the house does
// for a database it does there, the keys beside it go with it, and neither two servers nor the other program and we write it at once.

import { Database } from "bun:sqlite";
import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { isArchivedName } from "../../src/backup/manifest.ts";

// Every command is a process of its own.
setDefaultTimeout(60_000);

const MAIN = resolve(import.meta.dir, "../fixtures/inn-main.ts");
const place = mkdtempSync(join(tmpdir(), "roost-inn-"));
const env = { PATH: process.env.PATH ?? "", ROOST_HOST: "127.0.0.1" };
afterAll(() => rmSync(place, { recursive: true, force: true }));

async function roost(...words: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const child = Bun.spawn([process.execPath, MAIN, ...words], { env, stdout: "pipe", stderr: "pipe" });
  const [stdout, stderr, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return { code, stdout, stderr };
}

interface Running {
  readonly url: string;
  readonly said: () => string;
  stop(): Promise<number>;
}

/** Resolves when its greeting is there. @throws Error with what it said when it ends before. */
async function serve(...words: string[]): Promise<Running> {
  const child = Bun.spawn(
    [process.execPath, MAIN, "serve", "--port", "0", "--log-format", "json", ...words],
    {
      env,
      stdout: "pipe",
      stderr: "pipe",
    },
  );
  let said = "";
  const found = Promise.withResolvers<string>();
  const reading = (async () => {
    for await (const chunk of child.stdout) {
      said += Buffer.from(chunk).toString();
      const url = /http:\/\/127\.0\.0\.1:\d+/.exec(said)?.[0];
      if (url !== undefined) found.resolve(url);
    }
    found.reject(new Error(`${said}${await child.stderr.text()}`));
  })();
  const url = await found.promise;
  return {
    url,
    said: () => said,
    stop: async () => {
      child.kill("SIGTERM");
      const code = await child.exited;
      await reading;
      return code;
    },
  };
}

const guests = async (url: string) => (await fetch(`${url}/inn`)).json();
const arrive = (url: string, name: string) => fetch(`${url}/inn`, { method: "POST", body: name });
const mode = (path: string) => (statSync(path).mode & 0o777).toString(8);
const sibling = (name: string) => join(place, name);

/** As the other program leaves it. */
function theirs(home: string, ...names: string[]): void {
  mkdirSync(home, { recursive: true, mode: 0o700 });
  using sqlite = new Database(join(home, "inn.db"), { create: true });
  sqlite.run("PRAGMA journal_mode = WAL");
  sqlite.run("CREATE TABLE guests (pk INTEGER PRIMARY KEY, name TEXT NOT NULL)");
  for (const name of names) sqlite.query("INSERT INTO guests (name) VALUES (?)").run(name);
  sqlite.run("PRAGMA user_version = 1");
  writeFileSync(join(home, "key.json"), '{"key":"theirs"}', { mode: 0o600 });
}

/** Another process that has it open and writes nothing more. */
async function holder(home: string): Promise<{ stop(): Promise<void> }> {
  const script = `const { Database } = require("bun:sqlite"); const file = new Database(${JSON.stringify(join(home, "inn.db"))});
    file.run("INSERT INTO guests (name) VALUES ('held')"); console.log("held"); setInterval(() => {}, 1000);`;
  const child = Bun.spawn([process.execPath, "-e", script], { stdout: "pipe", stderr: "inherit" });
  for await (const _ of child.stdout) break;
  return {
    stop: async () => {
      child.kill();
      await child.exited;
    },
  };
}

test("it is made below the data folder, for the owner's eyes only, and is among what is ready and measured", async () => {
  const dataDir = sibling("below");
  const server = await serve("--data-dir", dataDir, "--metrics-token", "t");
  try {
    expect(server.said()).toContain("(made just now)");
    expect((await arrive(server.url, "ada")).status).toBe(201);
    expect(await (await fetch(`${server.url}/ready`)).json()).toMatchObject({ checks: { inn: "ok" } });
    const figures = await fetch(`${server.url}/metrics`, { headers: { authorization: "Bearer t" } });
    expect(await figures.text()).toMatch(/roost_database_bytes\{database="inn"\} [1-9]/);
    const home = join(dataDir, "inn");
    expect([mode(home), mode(join(home, "inn.db")), mode(join(home, "key.json"))]).toEqual([
      "700",
      "600",
      "600",
    ]);
    expect(existsSync(join(dataDir, "inn.db"))).toBe(false);
  } finally {
    expect(await server.stop()).toBe(0);
  }
  using sqlite = new Database(join(dataDir, "inn", "inn.db"), { readwrite: true });
  const number = (name: string) => sqlite.query(`PRAGMA ${name}`).values()[0]?.[0] as number;
  expect([number("application_id"), number("user_version")]).toEqual([0, 1]);
});

test("`roost migrate`, `roost doctor` and `roost prune` find it, a server beside them or not", async () => {
  const dataDir = sibling("below");
  expect((await roost("migrate", "status", "--data-dir", dataDir)).stdout).toContain("inn: version 1;");
  expect((await roost("migrate", "--data-dir", dataDir)).stdout).toContain(
    "The database of inn is at version 1",
  );
  const sound = `${join(dataDir, "inn", "inn.db")} is sound.`;
  expect((await roost("doctor", "--data-dir", dataDir)).stdout).toContain(sound);
  const server = await serve("--data-dir", dataDir);
  try {
    expect(server.said()).not.toContain("made just now");
    expect((await roost("doctor", "--data-dir", dataDir)).stdout).toContain(sound);
    expect(await roost("prune", "--data-dir", dataDir)).toMatchObject({ code: 0, stderr: "" });
  } finally {
    await server.stop();
  }
});

test("the doctor names a key that everybody may read, wherever the folder is", async () => {
  const home = sibling("open");
  theirs(home);
  Bun.spawnSync(["chmod", "-R", "a+rX", home]);
  const { stdout, code } = await roost("doctor", "--data-dir", sibling("below"), "--inn-home", home);
  expect(stdout).toContain(join(home, "key.json"));
  expect(code).toBe(1);
});

test("a backup holds it and its key, is drilled, and is restored in its place", async () => {
  const dataDir = sibling("below");
  const backups = sibling("backups");
  const server = await serve("--data-dir", dataDir);
  const made = await roost("backup", "--data-dir", dataDir, "--backup-dir", backups);
  await server.stop();
  expect([made.code, made.stderr]).toEqual([0, ""]);
  const archive = join(backups, readdirSync(backups).find((name) => name.endsWith(".zst")) ?? "");
  expect((await roost("backup", "list", "--backup-dir", backups)).stdout).toContain("passed (1 compared)");
  const restored = sibling("restored");
  expect(await roost("restore", archive, "--data-dir", restored)).toMatchObject({ code: 0 });
  const home = join(restored, "inn");
  expect([mode(home), mode(join(home, "inn.db")), mode(join(home, "key.json"))]).toEqual([
    "700",
    "600",
    "600",
  ]);
  expect(readFileSync(join(home, "key.json"), "utf8")).toBe('{"key":"brass"}');
  const again = await serve("--data-dir", restored);
  expect(await guests(again.url)).toEqual([["ada"]]);
  await again.stop();
});

test("one elsewhere is used in place, backed up from there, and restored to where a setting says", async () => {
  const home = sibling("elsewhere");
  theirs(home, "eve");
  const dataDir = sibling("with-elsewhere");
  const server = await serve("--data-dir", dataDir, "--inn-home", home);
  expect(server.said()).not.toContain("made just now");
  expect(await (await arrive(server.url, "bob")).text()).toBe('{"key":"theirs"}');
  expect(await guests(server.url)).toEqual([["eve"], ["bob"]]);
  expect(existsSync(join(dataDir, "inn"))).toBe(false);
  const archive = sibling("elsewhere.tar.zst");
  expect(await roost("backup", archive, "--data-dir", dataDir, "--inn-home", home)).toMatchObject({
    code: 0,
  });
  await server.stop();

  const target = sibling("restored-elsewhere");
  const taken = await roost("restore", archive, "--data-dir", sibling("r1"), "--inn-home", home);
  expect([taken.code, taken.stderr]).toEqual([
    1,
    `roost: The folder ${home} is not free (it holds inn.db). Move that away, or name another folder with --inn-home.\n`,
  ]);
  expect(existsSync(sibling("r1"))).toBe(false);
  expect((await roost("restore", archive, "--data-dir", sibling("r2"), "--inn-home", target)).code).toBe(0);
  expect(readdirSync(sibling("r2"))).not.toContain("inn");
  expect(
    readdirSync(target)
      .filter((name) => !name.startsWith("roost."))
      .sort(),
  ).toEqual(["inn.db", "key.json"]);
  expect([mode(join(target, "inn.db")), mode(join(target, "key.json"))]).toEqual(["600", "600"]);
  const again = await serve("--data-dir", sibling("r2"), "--inn-home", target);
  expect(await guests(again.url)).toEqual([["eve"], ["bob"]]);
  await again.stop();
  // Who names no other folder gets it below the data folder.
  expect((await roost("restore", archive, "--data-dir", sibling("r3"))).code).toBe(0);
  expect(existsSync(join(sibling("r3"), "inn", "inn.db"))).toBe(true);
});

/** Files below a folder by their path in it, and what they hold. */
const filesIn = (folder: string): Record<string, string> =>
  Object.fromEntries(
    readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => !entry.isDirectory())
      .map(({ parentPath, name }) => [
        join(parentPath, name).slice(folder.length + 1),
        Bun.hash(readFileSync(join(parentPath, name))).toString(36),
      ]),
  );

test("files of a folder beside it go through backup, drill and restore, large ones and deep ones; a link goes nowhere", async () => {
  const dataDir = sibling("letters-data");
  const home = join(dataDir, "inn");
  theirs(home, "eve");
  const letters = join(home, "letters");
  mkdirSync(join(letters, "..%2F", "1"), { recursive: true });
  writeFileSync(join(letters, "..%2F", "1", "a.txt"), "dear eve");
  writeFileSync(join(letters, `${"é".repeat(120)}.txt`), "a long name");
  writeFileSync(join(letters, "large.bin"), Buffer.alloc(24 * 1024 * 1024, "letters "));
  // Looks like a database's name in an archive, and is none.
  writeFileSync(join(letters, "inn.db"), "no database");
  const good = filesIn(letters);
  const secret = sibling("secret.txt");
  writeFileSync(secret, "of somebody else");
  mkdirSync(join(letters, "links"));
  symlinkSync(secret, join(letters, "links", "file"));
  symlinkSync(place, join(letters, "links", "folder"));
  writeFileSync(join(letters, "links", "back\\slash"), "no archive can hold it");

  const backups = sibling("letters-backups");
  const made = await roost("backup", "--data-dir", dataDir, "--backup-dir", backups);
  expect([made.code, made.stderr]).toEqual([0, ""]);
  expect((await roost("backup", "list", "--backup-dir", backups)).stdout).toContain("passed (1 compared)");
  const archive = join(backups, readdirSync(backups).find((name) => name.endsWith(".zst")) ?? "");
  const restored = sibling("letters-restored");
  const told = await roost("restore", archive, "--data-dir", restored);
  expect(told).toMatchObject({ code: 0, stderr: "" });
  expect(told.stdout).toContain(`Note: 3 entries of ${letters} are not in it: links, or names`);
  const back = join(restored, "inn", "letters");
  expect(filesIn(back)).toEqual(good);
  expect([mode(back), mode(join(back, "..%2F", "1")), mode(join(back, "..%2F", "1", "a.txt"))]).toEqual([
    "700",
    "700",
    "600",
  ]);
  const again = await serve("--data-dir", restored);
  expect(await guests(again.url)).toEqual([["eve"]]);
  await again.stop();

  // Into a folder elsewhere: what is in the way there is named, an empty one is not in the way.
  const target = sibling("letters-target");
  mkdirSync(join(target, "letters"), { recursive: true });
  const into = (data: string) => roost("restore", archive, "--data-dir", sibling(data), "--inn-home", target);
  writeFileSync(join(target, "letters", "mine"), "of somebody");
  expect((await into("l1")).stderr).toBe(
    `roost: The folder ${target} is not free (it holds letters). Move that away, or name another folder with --inn-home.\n`,
  );
  expect(readFileSync(join(target, "letters", "mine"), "utf8")).toBe("of somebody");
  rmSync(join(target, "letters"), { recursive: true });
  symlinkSync(place, join(target, "letters"));
  expect((await into("l1")).stderr).toContain("is not free (it holds letters)");
  rmSync(join(target, "letters"));
  mkdirSync(join(target, "letters"));
  expect(await into("l2")).toMatchObject({ code: 0 });
  expect(filesIn(join(target, "letters"))).toEqual(good);
});

test("a folder beside it that is a link itself is in no backup, and an archive brings nothing into a folder that no home names", async () => {
  const dataDir = sibling("linked-data");
  const home = join(dataDir, "inn");
  theirs(home, "eve");
  const outside = sibling("linked-outside");
  mkdirSync(outside);
  writeFileSync(join(outside, "secret"), "of somebody else");
  symlinkSync(outside, join(home, "letters"));
  mkdirSync(join(home, "logs"));
  writeFileSync(join(home, "logs", "today"), "of the other program");
  const archive = sibling("linked.tar.zst");
  expect(await roost("backup", archive, "--data-dir", dataDir)).toMatchObject({ code: 0 });
  const restored = sibling("linked-restored");
  expect(await roost("restore", archive, "--data-dir", restored)).toMatchObject({ code: 0 });
  expect(readdirSync(join(restored, "inn")).sort()).toEqual(["inn.db", "key.json"]);
  expect(["inn/letters/a", "inn/letters/a/b"].every((name) => isArchivedName(name, ["inn/letters"]))).toBe(
    true,
  );
  for (const name of [
    "inn/logs/a",
    "inn/letters",
    "inn/letters/",
    "inn/letters/../a",
    "inn/letters/a\\b",
    "inn/letters/a\0",
    "inn/lettersmore/a",
    `inn/letters/${"a/".repeat(8)}a`,
    `inn/letters/${"a".repeat(256)}`,
  ])
    expect([name, isArchivedName(name, ["inn/letters"])]).toEqual([name, false]);
});

test("a folder elsewhere is left alone while the protocol is off", async () => {
  const home = sibling("off");
  theirs(home, "eve");
  const archive = sibling("off.tar.zst");
  const off = ["--inn-enabled", "false", "--inn-home", home];
  const server = await serve("--data-dir", sibling("off-data"), ...off);
  expect((await fetch(`${server.url}/inn`)).status).toBe(404);
  expect(await roost("backup", archive, "--data-dir", sibling("off-data"), ...off)).toMatchObject({
    code: 0,
  });
  await server.stop();
  expect((await roost("restore", archive, "--data-dir", sibling("off-restored"))).code).toBe(0);
  expect(existsSync(join(sibling("off-restored"), "inn"))).toBe(false);
  expect(readdirSync(home).sort()).toEqual(["inn.db", "key.json"]);
});

test("while the other program has it open, a server that was asked for it does not start, and one that was not goes on without it", async () => {
  const dataDir = sibling("held");
  const home = join(dataDir, "inn");
  theirs(home, "eve");
  const other = await holder(home);
  const sentence = `Another program has the database ${join(home, "inn.db")} open, as Inn does while it runs. Stop it first, or name another folder with --inn-home.`;
  try {
    await expect(serve("--data-dir", dataDir, "--inn-enabled", "true")).rejects.toThrow(`roost: ${sentence}`);
    expect(await roost("migrate", "--data-dir", dataDir)).toEqual({
      code: 1,
      stdout: "",
      stderr: `roost: ${sentence}\n`,
    });
    const server = await serve("--data-dir", dataDir);
    expect(server.said()).toContain(`${sentence} The server goes on without inn.`);
    expect(server.said()).not.toContain("Inn: http");
    expect((await fetch(`${server.url}/inn`)).status).toBe(404);
    expect((await fetch(`${server.url}/health`)).status).toBe(200);
    await server.stop();
  } finally {
    await other.stop();
  }
  const server = await serve("--data-dir", dataDir);
  expect(await guests(server.url)).toEqual([["eve"], ["held"]]);
  await server.stop();
});

test("two servers with data folders of their own do not share one", async () => {
  const home = sibling("shared");
  const first = await serve("--data-dir", sibling("one"), "--inn-home", home);
  try {
    await expect(serve("--data-dir", sibling("two"), "--inn-home", home)).rejects.toThrow(
      `is using the data folder ${home}. Stop it, or give this one another folder with --inn-home.`,
    );
  } finally {
    await first.stop();
  }
});

test("nothing that everybody may read holds it, whoever serves it", async () => {
  const home = sibling("windows");
  theirs(home);
  for (const flag of ["--inn-windows", "--happy-static-dir"])
    await expect(serve("--data-dir", sibling("w"), "--inn-home", home, flag, home)).rejects.toThrow(
      `holds the data of ${home}: everybody could read it. Name another one with ${flag}.`,
    );
});

test("a file of a newer version of the other program is refused, and not a byte of it is changed", async () => {
  const home = sibling("newer");
  theirs(home, "eve");
  {
    using sqlite = new Database(join(home, "inn.db"), { readwrite: true });
    sqlite.run("PRAGMA user_version = 2");
  }
  const before = readFileSync(join(home, "inn.db"));
  await expect(serve("--data-dir", sibling("n"), "--inn-home", home)).rejects.toThrow(
    "was written by a newer Inn",
  );
  expect(readFileSync(join(home, "inn.db")).equals(before)).toBe(true);
});
