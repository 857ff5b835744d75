// Holds the tar streams to: what was written is read, other programs read it too, and a damaged or foreign archive is an error.
import { expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readTar, type TarEntry, writeTar } from "./tar.ts";

async function* only<T>(...items: T[]): AsyncGenerator<T> {
  yield* items;
}

const entry = (name: string, text: string, size = Buffer.byteLength(text)): TarEntry => ({
  name,
  size,
  mode: 0o600,
  modifiedMs: 1_700_000_000_000,
  content: only<Uint8Array>(Buffer.from(text)),
});

async function bytes(...entries: TarEntry[]): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of writeTar(only(...entries))) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** In chunks that fall across every border. */
async function* pieces(archive: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < archive.byteLength; at += size) yield archive.subarray(at, at + size);
}

async function readAll(archive: Uint8Array, size = 100): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for await (const { name, content } of readTar(pieces(archive, size))) {
    const chunks: Uint8Array[] = [];
    for await (const chunk of content) chunks.push(chunk.slice());
    found[name] = Buffer.concat(chunks).toString();
  }
  return found;
}

const LONG = `files/sessions/${"s".repeat(90)}/attachments/${"é".repeat(60)}.enc`;
const FILES = { "happy.db": "x".repeat(512), empty: "", [LONG]: "long", "files/a": "y".repeat(1300) };
const archive = () => bytes(...Object.entries(FILES).map(([name, text]) => entry(name, text)));

for (const size of [1, 100, 512, 65_536])
  test(`what was written is read, in chunks of ${size}`, async () => {
    expect(await readAll(await archive(), size)).toEqual(FILES);
  });

test("contents that nobody reads are skipped", async () => {
  const names: string[] = [];
  for await (const { name } of readTar(pieces(await archive(), 700))) names.push(name);
  expect(names).toEqual(Object.keys(FILES));
});

test("tar itself reads it, long names too", async () => {
  const folder = mkdtempSync(join(tmpdir(), "roost-tar-"));
  try {
    writeFileSync(join(folder, "a.tar"), await archive());
    const { exitCode, stderr } = Bun.spawnSync(["tar", "xf", "a.tar"], { cwd: folder });
    expect([exitCode, stderr.toString()]).toEqual([0, ""]);
    for (const [name, text] of Object.entries(FILES))
      expect(await Bun.file(join(folder, name)).text()).toBe(text);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test("a file that is not as long as announced is an error", async () => {
  await expect(bytes(entry("a", "abc", 4))).rejects.toThrow("a has 3 bytes instead of 4");
});

test("every archive that is cut off is an error, wherever the cut is", async () => {
  const whole = await archive();
  for (let cut = 0; cut < whole.byteLength - 1024; cut += 177)
    await expect(readAll(whole.subarray(0, cut))).rejects.toThrow("cut off");
});

test("content that is left in the middle is skipped, and an archive that is left is let go of", async () => {
  const names: string[] = [];
  let isOpen = true;
  async function* source() {
    try {
      yield* pieces(await archive(), 300);
    } finally {
      isOpen = false;
    }
  }
  for await (const { name, content } of readTar(source())) {
    names.push(name);
    for await (const _ of content) break;
    if (name === LONG) break;
  }
  expect([names, isOpen]).toEqual([["happy.db", "empty", LONG], false]);
});

test("a source that fails in a header, in a content or behind the end is heard", async () => {
  const whole = await archive();
  for (const bytes of [100, 700, 1024, whole.byteLength - 1]) {
    async function* failing() {
      yield* pieces(whole.subarray(0, bytes), 100);
      throw Object.assign(new Error("i/o error"), { code: "EIO" });
    }
    const reading = (async () => {
      for await (const { content } of readTar(failing())) for await (const _ of content);
    })();
    await expect(reading).rejects.toMatchObject({ code: "EIO" });
  }
});

test("a file of more than 8 GiB has its size where every program finds it", async () => {
  const size = 8 ** 11 + 5;
  const endless = { ...entry("files/a", "", size), content: forEver() };
  async function* forEver() {
    for (;;) yield new Uint8Array(65_536);
  }
  const chunks: Uint8Array[] = [];
  for await (const chunk of writeTar(only(endless))) {
    chunks.push(chunk);
    if (chunks.length > 6) break;
  }
  const start = Buffer.concat(chunks);
  for await (const found of readTar(pieces(start, 65_536))) {
    expect([found.name, found.size]).toEqual(["files/a", size]);
    break;
  }
  const listed = Bun.spawnSync(["tar", "tvf", "-"], { stdin: start });
  expect(listed.stdout.toString()).toContain(` ${size} `);
});

test("a changed header is an error", async () => {
  const whole = await archive();
  whole[3] = (whole[3] ?? 0) ^ 1;
  await expect(readAll(whole)).rejects.toThrow("damaged");
});

test("a link in an archive is refused", async () => {
  const folder = mkdtempSync(join(tmpdir(), "roost-tar-"));
  try {
    Bun.spawnSync(["ln", "-s", "/etc/passwd", "master-secret"], { cwd: folder });
    Bun.spawnSync(["tar", "cf", "a.tar", "master-secret"], { cwd: folder });
    const foreign = await Bun.file(join(folder, "a.tar")).bytes();
    await expect(readAll(foreign)).rejects.toThrow("no plain file");
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

/** A header as it stands in an archive, with these texts in its fields and a checksum that fits. */
function rawHeader(type: string, fields: { readonly [offset: number]: string }): Buffer {
  const block = Buffer.alloc(512);
  const whole = {
    0: "a",
    100: "0000600\0",
    124: "00000000003\0",
    136: "00000000000\0",
    257: "ustar\x0000",
    ...fields,
  };
  for (const [at, text] of Object.entries(whole)) block.write(text, Number(at), "latin1");
  block.write(type, 156, "latin1");
  block.write("        ", 148, "latin1");
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return block;
}

const padded = (text: string) =>
  Buffer.concat([Buffer.from(text), Buffer.alloc(512 - Buffer.byteLength(text))]);
const END = Buffer.alloc(1024);
const SIZE = 124;

test.each([
  ["letters", "zzzzzzzzzzz"],
  ["nothing", "\0"],
  ["blanks", "           "],
  ["a minus", "-0000000003"],
  ["digits that are not octal", "00000000008"],
  ["digits and then something", "0000003x000"],
  ["a fraction", "0000000.003"],
  ["base 256", "\x80\0\0\0\0\0\0\0\0\0\x01"],
  ["base 256 below zero", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"],
])("a size of %s is an error, in every kind of header", async (_, size) => {
  for (const type of ["0", "x"]) {
    const hostile = Buffer.concat([rawHeader(type, { [SIZE]: size.padEnd(12, "\0") }), padded("abc"), END]);
    await expect(readAll(hostile)).rejects.toThrow("a number that is none");
  }
});

test.each([
  ["a mode", 100, "zzzzzzz\0"],
  ["a time", 136, "99999999999\0"],
])("%s that is no number is an error", async (_, at, text) => {
  await expect(readAll(Buffer.concat([rawHeader("0", { [at]: text }), padded("abc"), END]))).rejects.toThrow(
    "a number that is none",
  );
});

test.each([
  "",
  " ",
  "-1",
  "1e3",
  "0x10",
  "NaN",
  "Infinity",
  "3.5",
  "99999999999999999999",
  "9007199254740993",
])("a pax size of %p is an error", async (size) => {
  const rest = ` size=${size}\n`;
  const record = `${rest.length + 2}${rest}`.padStart(rest.length + 2, "0");
  const header = rawHeader("x", { [SIZE]: `${record.length.toString(8).padStart(11, "0")}\0` });
  const hostile = Buffer.concat([header, padded(record), rawHeader("0", {}), padded("abc"), END]);
  await expect(readAll(hostile)).rejects.toThrow("usable size");
});

test.each(["0 path=b\n", "-9 path=b\n", "99 path=b\n", "x path=b\n", "1e1 path=b\n", "\0\0\0\0\0\0\0\0\0\0"])(
  "a pax record %p is an error",
  async (record) => {
    const header = rawHeader("x", { [SIZE]: `${record.length.toString(8).padStart(11, "0")}\0` });
    const hostile = Buffer.concat([header, padded(record), rawHeader("0", {}), padded("abc"), END]);
    await expect(readAll(hostile)).rejects.toThrow("unreadable header");
  },
);

test.each([
  ["another format's magic", rawHeader("0", { 257: "other   " })],
  ["a long name in GNU's way", rawHeader("L", {})],
  ["headers for every file", rawHeader("g", { [SIZE]: "00000000000\0" })],
  ["a folder", rawHeader("5", { [SIZE]: "00000000000\0" })],
  ["a device", rawHeader("3", { [SIZE]: "00000000000\0" })],
  ["a type that nobody knows", rawHeader("Z", { [SIZE]: "00000000000\0" })],
])("%s is refused", async (_, header) => {
  const size = header.toString("latin1", 124, 135) === "00000000000" ? [] : [padded("abc")];
  const file = [rawHeader("0", {}), padded("abc")];
  await expect(readAll(Buffer.concat([header, ...size, ...file, END]))).rejects.toThrow("The archive ");
});

test("an oversized header, a file behind the end and a missing end are errors", async () => {
  const oversized = rawHeader("x", { [SIZE]: "00000200001\0" });
  const file = Buffer.concat([rawHeader("0", {}), padded("abc")]);
  await expect(readAll(Buffer.concat([oversized, Buffer.alloc(66_048), file, END]))).rejects.toThrow(
    "oversized header",
  );
  await expect(readAll(Buffer.concat([file, END, file, END]))).rejects.toThrow("goes on behind its end");
  await expect(readAll(file)).rejects.toThrow("cut off");
  expect(await readAll(Buffer.concat([file, END]))).toEqual({ a: "abc" });
});

test("headers about headers, and bytes without end behind the end, are errors", async () => {
  const about = Buffer.concat([rawHeader("x", { [SIZE]: "00000000012\0" }), padded("10 path=b\n")]);
  await expect(
    readAll(Buffer.concat([about, about, rawHeader("0", {}), padded("abc"), END])),
  ).rejects.toThrow("unreadable header");
  const whole = await archive();
  expect(await readAll(Buffer.concat([whole, Buffer.alloc(10_240)]))).toEqual(FILES);
  async function* endless() {
    yield whole;
    for (;;) yield new Uint8Array(65_536);
  }
  await expect(
    (async () => {
      for await (const _ of readTar(endless()));
    })(),
  ).rejects.toThrow("goes on behind its end");
});

test("a file from the year 9999 and one from before 1970 are archived", async () => {
  for (const modifiedMs of [253_402_300_799_000, -1e12])
    expect(await readAll(await bytes({ ...entry("a", "abc"), modifiedMs }))).toEqual({ a: "abc" });
});
