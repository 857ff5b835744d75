// Holds the walk to: every plain file once with its names, nothing through a symbolic link, and no error for what goes away meanwhile.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { blobFiles, entriesOf, factsOf, filesBelow } from "./blob-files.ts";

let home: string;
let folder: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "roost-walk-"));
  folder = join(home, "files");
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

function write(name: string, text = "12345"): void {
  const path = join(folder, name);
  mkdirSync(join(path, ".."), { recursive: true });
  writeFileSync(path, text);
}

async function names(): Promise<string[]> {
  const found: string[] = [];
  for await (const { path, parts } of blobFiles(folder)) {
    expect(path).toBe(join(folder, ...parts));
    found.push(parts.join("/"));
  }
  return found.sort();
}

test("every file, however deep, with what is being uploaded", async () => {
  const all = ["a", "sessions/1/attachments/b.enc", "sessions/2/.part-x", "sessions/é ü/c"];
  for (const name of all) write(name);
  mkdirSync(join(folder, "empty"));
  expect(await names()).toEqual(all);
  expect(await filesBelow(folder)).toEqual({ files: 4, bytes: 20 });
  expect(await filesBelow(join(folder, "sessions"))).toEqual({ files: 3, bytes: 15 });
});

test("no folder is no file", async () => {
  expect(await names()).toEqual([]);
  expect(await filesBelow(folder)).toEqual({ files: 0, bytes: 0 });
  write("a");
  expect(await filesBelow(join(folder, "a"))).toEqual({ files: 0, bytes: 0 });
});

test("symbolic links are passed over, to files, to folders, to folders above and to nothing", async () => {
  write("a");
  mkdirSync(join(home, "elsewhere"));
  writeFileSync(join(home, "elsewhere", "secret"), "x".repeat(1_000));
  symlinkSync(join(home, "elsewhere"), join(folder, "folder"));
  symlinkSync(join(home, "elsewhere", "secret"), join(folder, "file"));
  symlinkSync("..", join(folder, "above"));
  symlinkSync("nowhere", join(folder, "broken"));
  expect(await names()).toEqual(["a"]);
  expect(await filesBelow(folder)).toEqual({ files: 1, bytes: 5 });
});

test("the folder itself may be a link to another disk", async () => {
  mkdirSync(join(home, "disk"));
  writeFileSync(join(home, "disk", "a"), "1");
  symlinkSync(join(home, "disk"), folder);
  expect(await names()).toEqual(["a"]);
});

test("a file that becomes a link after it was found has no size", async () => {
  write("a");
  writeFileSync(join(home, "large"), "x".repeat(1_000));
  for await (const file of blobFiles(folder)) {
    rmSync(file.path);
    symlinkSync(join(home, "large"), file.path);
    expect(await factsOf(file)).toBeUndefined();
  }
});

test("folders and files that go away on the way are passed over", async () => {
  for (let folders = 0; folders < 40; folders++)
    for (let files = 0; files < 5; files++) write(`sessions/${folders}/${files}`);
  let seen = 0;
  for await (const file of blobFiles(folder)) {
    if (seen++ === 0) rmSync(join(folder, "sessions"), { recursive: true });
    expect(await factsOf(file)).toBeUndefined();
  }
  expect(seen).toBeGreaterThan(0);
  expect(seen).toBeLessThan(200);
  for await (const _ of entriesOf(join(folder, "sessions"))) throw new Error("is gone");
});

test("a walk that is told to end looks at nothing more", async () => {
  for (const name of ["a", "b", "c"]) write(name);
  let asked = 0;
  expect(await filesBelow(folder, () => ++asked < 2)).toEqual({ files: 1, bytes: 5 });
});
