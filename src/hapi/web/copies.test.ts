// Copies of the web app: whole or not there, one at a time, the one before kept until the next.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { smallApp } from "../../../test/support/hapi-app.ts";
import { Copies, copiesIn, readNote, readPointer } from "./copies.ts";
import type { AppFiles } from "./mirror.ts";

let dataDir: string;
let folder: string;
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), "roost-hapi-copies-"));
  folder = copiesIn(dataDir);
});
afterEach(() => rmSync(dataDir, { recursive: true, force: true }));

const filesOf = (version: string): AppFiles =>
  new Map(
    [...smallApp(version)].map(([name, content]) => [name, new Uint8Array(Buffer.from(content as string))]),
  );
const ABOUT = { way: "hub", from: "http://127.0.0.1:3006" } as const;
const install = (files: AppFiles) => {
  using copies = new Copies(folder);
  return copies.install(files, ABOUT);
};
const hashOf = (files: AppFiles) =>
  createHash("sha256")
    .update(files.get("index.html") ?? "")
    .digest("hex")
    .slice(0, 12);
const folders = () =>
  readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)
    .sort();

test("lands under the hash of its page, with a note and what is compressed, for the owner alone", () => {
  const files = filesOf("one");
  const { folder: copy, isNew, note } = install(files);
  expect([copy, isNew]).toEqual([join(folder, hashOf(files)), true]);
  for (const [name, content] of files) expect(readFileSync(join(copy, name)).equals(content)).toBe(true);
  expect(readNote(copy)).toEqual(note);
  expect(note).toMatchObject({
    ...ABOUT,
    files: 8,
    license: "AGPL-3.0-only",
    source: expect.stringContaining("https:"),
  });
  expect(Math.abs(Date.parse(note.at) - Date.now())).toBeLessThan(60_000);
  const style = files.get("assets/style-2222.css") ?? new Uint8Array();
  expect(gunzipSync(readFileSync(join(copy, ".gzip", "assets", "style-2222.css"))).equals(style)).toBe(true);
  // It would gain nothing.
  expect(existsSync(join(copy, ".gzip", "assets", "picture-3333.png"))).toBe(false);
  expect(statSync(copy).mode & 0o077).toBe(0);
  expect(statSync(join(copy, "assets", "style-2222.css")).mode & 0o077).toBe(0);
});

test("the one before stays until the next", () => {
  const [one, two, three] = ["one", "two", "three"].map(filesOf) as [AppFiles, AppFiles, AppFiles];
  install(one);
  install(two);
  expect(readPointer(folder)).toEqual({ current: hashOf(two), previous: hashOf(one) });
  expect(folders()).toEqual([hashOf(one), hashOf(two)].sort());
  install(three);
  expect(readPointer(folder)).toEqual({ current: hashOf(three), previous: hashOf(two) });
  expect(folders()).toEqual([hashOf(two), hashOf(three)].sort());
});

test("the same again changes nothing but the note", () => {
  install(filesOf("one"));
  const two = filesOf("two");
  install(two);
  const before = readPointer(folder);
  const again = install(two);
  expect(again.isNew).toBe(false);
  expect([readPointer(folder), readNote(again.folder)]).toEqual([before, again.note]);
});

test("a damaged copy, and other files with the same page, come anew", () => {
  const one = filesOf("one");
  const { folder: first } = install(one);
  writeFileSync(join(first, "favicon.ico"), "damaged");
  const second = install(one);
  expect([second.isNew, second.folder]).toEqual([true, `${first}-2`]);
  expect(
    readFileSync(join(second.folder, "favicon.ico")).equals(one.get("favicon.ico") ?? new Uint8Array()),
  ).toBe(true);
  const other = new Map(one).set("further.txt", new Uint8Array([1]));
  expect(install(other).folder).toBe(`${join(folder, hashOf(one))}`.concat("-3"));
});

test("an install that cannot be written leaves what was there, and nothing of itself", () => {
  const one = filesOf("one");
  install(one);
  // A file and a folder of one name: no file system has both.
  const impossible = new Map(filesOf("two")).set("favicon.ico/x.js", new Uint8Array([1]));
  expect(() => install(impossible)).toThrow();
  expect(readPointer(folder)).toEqual({ current: hashOf(one) });
  expect(folders()).toEqual([hashOf(one)]);
});

test("what a command left that was cut off goes with the next", () => {
  install(filesOf("one"));
  mkdirSync(join(folder, ".incoming-abc", "assets"), { recursive: true });
  mkdirSync(join(folder, "0123456789ab"));
  install(filesOf("two"));
  expect(folders()).toEqual([hashOf(filesOf("one")), hashOf(filesOf("two"))].sort());
});

test("one command at a time", () => {
  using _ = new Copies(folder);
  expect(() => new Copies(folder)).toThrow("Another command is just installing");
});

test("removed, nothing of it is there", () => {
  install(filesOf("one"));
  install(filesOf("two"));
  using copies = new Copies(folder);
  expect([copies.remove(), copies.remove()]).toEqual([true, false]);
  expect([readPointer(folder), folders()]).toEqual([undefined, []]);
});

test.each(["{", "[]", '{"current":"../../etc"}', '{"current":"0123456789ab","previous":"/"}'])(
  "a pointer that says %s points nowhere",
  (text) => {
    mkdirSync(folder);
    chmodSync(folder, 0o700);
    writeFileSync(join(folder, "current.json"), text);
    expect(readPointer(folder)).toBeUndefined();
  },
);
