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
