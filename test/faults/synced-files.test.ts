// What is told to be on disk is: a file's bytes are synced before it gets its name, and its name before anything builds on it. Read from
// what the process really asked of the system, for each way in which we write a file.
import { Database } from "bun:sqlite";
import { beforeAll, expect, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, realpathSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { nothingLeftBehind } from "../support/left-behind.ts";
import { roostCommand, run } from "../support/process.ts";
import { tracing } from "./power-loss/recording.ts";
import { readCalls, type SystemCall, TRACED } from "./power-loss/system-calls.ts";

const BOUND_MS = 60_000;
const SRC = resolve(import.meta.dir, "../../src");
const { freshFolder } = nothingLeftBehind("synced");

/** Calls about files below the folder, of a command that must succeed. */
async function traced(folder: string, command: readonly string[]): Promise<SystemCall[]> {
  const trace = join(freshFolder(), "trace");
  const options = ["-f", "--seccomp-bpf", "-yy", "-xx", "-s", "8000000", "-o", trace];
  const strace = ["strace", ...options, "-e", `trace=?${TRACED.join(",?")}`, "--"];
  // As on a machine of somebody who has never heard of it.
  const open = ["sh", "-c", 'umask 000; exec "$@"', "sh"];
  expect(await run([...strace, ...open, ...command])).toMatchObject({ code: 0, stderr: "" });
  return readCalls(readFileSync(trace, "latin1"), (target) => target.startsWith(folder), 0).calls;
}

const isSync = ({ name, result }: SystemCall) => /^f(data)?sync$/.test(name) && result === 0;
const isWrite = ({ name }: SystemCall) => /write/.test(name);

/** Sentences about what a power cut could take of this file, which was written under `written` and then got its name. */
function notDurable(calls: readonly SystemCall[], file: string, written: string = file): string[] {
  const last = calls.findLast((call) => isWrite(call) && call.target === written);
  if (last === undefined) return [`${file} was not seen being written`];
  const synced = calls.find((call) => isSync(call) && call.target === written && call.began > last.over);
  if (synced === undefined) return [`the bytes of ${file} are not synced`];
  if (written === file) return [];
  const named = calls.find(({ name, paths }) => name.startsWith("rename") && paths.includes(file));
  if (named === undefined) return [`${file} did not get its name`];
  const problems: string[] = [];
  if (named.began < synced.over) problems.push(`${file} has its name before its bytes are synced`);
  if (!calls.some((call) => isSync(call) && call.target === dirname(file) && call.began > named.over))
    problems.push(`the name of ${file} is not synced`);
  return problems;
}

/** The name under which a file was before. */
function renamedFrom(calls: readonly SystemCall[], file: string): string {
  const call = calls.find(({ name, paths }) => name.startsWith("rename") && paths[1] === file);
  return call?.paths[0] ?? file;
}

const modeOf = (path: string) => (statSync(path).mode & 0o777).toString(8);

tracing.describe("by every function that writes files", () => {
  let folder: string;
  let calls: SystemCall[];
  /** Of everything in the folder, which goes with the first test. */
  const modes = new Map<string, string>();
  const at = (name: string) => join(folder, name);
  beforeAll(async () => {
    folder = realpathSync(freshFolder());
    const program = `
      const { Database } = require("bun:sqlite");
      const { mkdirSync } = require("node:fs");
      const { writeFileDurably } = await import("${SRC}/storage/durable-file.ts");
      const { copyInto } = await import("${SRC}/storage/snapshot.ts");
      const { LocalBlobs } = await import("${SRC}/storage/local-blobs.ts");
      const { fileSink } = await import("${SRC}/backup/file-sink.ts");
      const folder = process.argv[1];
      mkdirSync(folder + "/alone");
      writeFileDurably(folder + "/alone/small", "content", 0o600);
      const sqlite = new Database(folder + "/some.db");
      sqlite.run("CREATE TABLE t (x)");
      sqlite.run("INSERT INTO t VALUES (randomblob(100000))");
      copyInto(sqlite, folder + "/copy.db");
      const blobs = new LocalBlobs({ folder: folder + "/files", minFreeBytes: 0, log: undefined });
      await blobs.put("sessions/s/a.enc", [new Uint8Array(1000)], 1000);
      mkdirSync(folder + "/files/sessions/made/by-another-upload", { recursive: true });
      await blobs.put("sessions/made/by-another-upload/b.enc", [new Uint8Array(1000)], 1000);
      const sink = await fileSink(folder + "/new/sunk", { durable: true });
      for (let n = 0; n < 3; n++) await sink.write(new Uint8Array(5 * 1024 * 1024));
      await sink.close();`;
    calls = await traced(folder, [process.execPath, "-e", program, folder]);
    for (const name of readdirSync(folder, { recursive: true, encoding: "utf8" }))
      modes.set(name, modeOf(at(name)));
  }, BOUND_MS);

  test("a small file", () => {
    const file = at("alone/small");
    expect(renamedFrom(calls, file)).not.toBe(file);
    expect(notDurable(calls, file, renamedFrom(calls, file))).toEqual([]);
    expect(modes.get("alone/small")).toBe("600");
  });

  test("a copy of a database", () => {
    expect(notDurable(calls, at("copy.db"))).toEqual([]);
    expect(modes.get("copy.db")).toBe("600");
  });

  test("a blob, and the folders that are made for it", () => {
    const file = at("files/sessions/s/a.enc");
    expect(notDurable(calls, file, renamedFrom(calls, file))).toEqual([]);
    const named = calls.find(({ name, paths }) => name.startsWith("rename") && paths.includes(file));
    for (const above of ["files", "files/sessions"])
      expect([
        above,
        calls.some((call) => isSync(call) && call.target === at(above) && call.over < (named?.began ?? 0)),
      ]).toEqual([above, true]);
    for (const above of ["files", "files/sessions", "files/sessions/s"])
      expect([above, modes.get(above)]).toEqual([above, "700"]);
    expect(modes.get("files/sessions/s/a.enc")).toBe("600");
  });

  test("a blob in folders that another upload has made, and may not have synced", () => {
    const made = at("files/sessions/made/by-another-upload");
    const file = join(made, "b.enc");
    expect(notDurable(calls, file, renamedFrom(calls, file))).toEqual([]);
    const named = (path: string) =>
      calls.find(({ name, paths }) => name.startsWith("rename") && paths.includes(path));
    const [before, after] = [named(at("files/sessions/s/a.enc")), named(file)];
    for (let above = dirname(made); above !== dirname(folder); above = dirname(above))
      expect([
        above,
        calls.some(
          (call) =>
            isSync(call) &&
            call.target === above &&
            call.began > (before?.over ?? Number.POSITIVE_INFINITY) &&
            call.over < (after?.began ?? 0),
        ),
      ]).toEqual([above, true]);
  });

  test("a long file, which is also synced on the way", () => {
    expect(notDurable(calls, at("new/sunk"))).toEqual([]);
    const syncs = calls.filter((call) => isSync(call) && call.target === at("new/sunk"));
    expect(syncs.length).toBe(2);
    expect([modes.get("new"), modes.get("new/sunk")]).toEqual(["700", "600"]);
  });
});

tracing.test(
  "a backup and what is restored from it, for their owner only, whatever the file rights of their place are",
  async () => {
    const home = realpathSync(freshFolder());
    const [data, backups, restored] = [join(home, "data"), join(home, "backups"), join(home, "restored")];
    const roost = (...words: string[]) => traced(home, [...roostCommand(), ...words]);
    mkdirSync(data);
    await roost("migrate", "--data-dir", data);
    expect(modeOf(join(data, "happy.db"))).toBe("600");
    mkdirSync(join(data, "files/sessions/s/attachments"), { recursive: true });
    await Bun.write(join(data, "files/sessions/s/attachments/a.enc"), new Uint8Array(1000));
    await Bun.write(join(data, "master-secret"), "secret\n");

    const backing = await roost("backup", "--data-dir", data, "--backup-dir", backups);
    expect(modeOf(backups)).toBe("700");
    const names = readdirSync(backups);
    expect(names).toHaveLength(2);
    for (const name of names) {
      const file = join(backups, name);
      expect([name, modeOf(file)]).toEqual([name, "600"]);
      // The archive has had two names before: that under which it was written is the first.
      const before = renamedFrom(backing, file);
      expect(notDurable(backing, file, renamedFrom(backing, before))).toEqual([]);
    }

    const single = join(home, "alone.tar.zst");
    const alone = await roost("backup", single, "--data-dir", data);
    expect(notDurable(alone, single, renamedFrom(alone, single))).toEqual([]);
    expect(modeOf(single)).toBe("600");

    const archive = join(backups, names.find((name) => name.endsWith(".zst")) ?? "");
    const restoring = await roost("restore", archive, "--data-dir", restored);
    expect(modeOf(restored)).toBe("700");
    for (const name of ["happy.db", "master-secret"]) {
      const file = join(restored, name);
      expect(notDurable(restoring, file, renamedFrom(restoring, file))).toEqual([]);
      expect([name, modeOf(file)]).toEqual([name, "600"]);
    }
    const blob = join(restored, "files/sessions/s/attachments/a.enc");
    expect(modeOf(blob)).toBe("600");
    for (let folder = dirname(blob); folder !== restored; folder = dirname(folder))
      expect([folder, modeOf(folder)]).toEqual([folder, "700"]);
    using sqlite = new Database(join(restored, "happy.db"), { readwrite: true });
    expect(sqlite.query("PRAGMA integrity_check").values()).toEqual([["ok"]]);
    // The whole tree of files, folder by folder, before the first of it is moved to its place.
    const moved = restoring.find(({ paths: [, to] }) => to === join(restored, "files"));
    const scratch = dirname(moved?.paths[0] ?? "");
    for (const part of ["", "files", "files/sessions", "files/sessions/s", "files/sessions/s/attachments"])
      expect([
        part,
        restoring.some(
          (call) => isSync(call) && call.target === join(scratch, part) && call.over < (moved?.began ?? 0),
        ),
      ]).toEqual([part, true]);
  },
  BOUND_MS,
);
