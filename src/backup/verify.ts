// Reads an archive once, from its first byte to its last, and holds every file to the manifest: nothing missing, nothing besides,
// every size and SHA-256 as written. Whoever calls decides which files are also kept.
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { createZstdDecompress } from "node:zlib";
import type { Progress } from "../cli/progress.ts";
import { asStorageError, codeOf } from "../storage/errors.ts";
import {
  type FileFacts,
  isArchivedName,
  isSmallFile,
  MANIFEST_NAME,
  MAX_MANIFEST_BYTES,
  type Manifest,
  parseManifest,
} from "./manifest.ts";
import { readTar, type TarEntry } from "./tar.ts";

/** Where the bytes of one file go. */
export interface FileSink {
  write(chunk: Uint8Array): Promise<void>;
  close(): Promise<void>;
}

export interface VerifyOptions {
  readonly file: string;
  /** Folders of homes that it may hold, as archives call them. */
  readonly folders: readonly string[];
  readonly progress: Progress;
  /** A place for the file of this name, undefined for one that is only to be checked. */
  readonly sinkFor: (name: string) => Promise<FileSink | undefined>;
}

/** @throws Error with a sentence that says what is wrong with the archive. */
export async function verifyArchive({ file, folders, progress, sinkFor }: VerifyOptions): Promise<Manifest> {
  const found = new Map<string, FileFacts>();
  let manifest: Manifest | undefined;
  try {
    for await (const entry of readTar(decompressed(file, progress))) {
      if (manifest !== undefined) throw new Error("The archive has files after its manifest.");
      if (entry.name === MANIFEST_NAME) manifest = parseManifest(await textOf(entry));
      else if (!isArchivedName(entry.name, folders) || found.has(entry.name))
        throw new Error(`The archive holds "${entry.name}", which cannot be restored.`);
      else if (isSmallFile(entry.name) && entry.size > MAX_SINGLE_BYTES)
        throw new Error(`The archive holds a "${entry.name}" that cannot be so large.`);
      else found.set(entry.name, await taken(entry, await sinkFor(entry.name)));
    }
  } catch (error) {
    throw explained(error, file);
  }
  if (manifest === undefined)
    throw new Error("The archive has no manifest: it is not one of Roost, or it is cut off.");
  for (const [name, { size, sha256 }] of Object.entries(manifest.files)) {
    const facts = found.get(name);
    if (facts === undefined) throw new Error(`The archive lacks ${name}.`);
    if (facts.size !== size || facts.sha256 !== sha256)
      throw new Error(`The archive is damaged: ${name} does not have the hash that its manifest names.`);
    found.delete(name);
  }
  const [extra] = found.keys();
  if (extra !== undefined) throw new Error(`The archive holds ${extra}, which its manifest does not name.`);
  return manifest;
}

const MAX_SINGLE_BYTES = 1024 * 1024;

async function taken(entry: TarEntry, sink: FileSink | undefined): Promise<FileFacts> {
  const hash = createHash("sha256");
  try {
    for await (const chunk of entry.content) {
      hash.update(chunk);
      await sink?.write(chunk);
    }
  } finally {
    await sink?.close();
  }
  return { size: entry.size, sha256: hash.digest("hex") };
}

async function textOf(entry: TarEntry): Promise<string> {
  if (entry.size > MAX_MANIFEST_BYTES) throw new Error("The archive's manifest is too large.");
  const chunks: Uint8Array[] = [];
  for await (const chunk of entry.content) chunks.push(chunk.slice());
  return Buffer.concat(chunks).toString("utf8");
}

async function* decompressed(file: string, progress: Progress): AsyncGenerator<Uint8Array> {
  const packed = createReadStream(file, { highWaterMark: 256 * 1024 });
  const unpacked = createZstdDecompress();
  packed.on("data", (chunk) => progress.advance(chunk.length));
  // pipe() does not hand on errors.
  packed.on("error", (error) => unpacked.destroy(error));
  packed.pipe(unpacked);
  try {
    yield* unpacked;
  } finally {
    packed.destroy();
    unpacked.destroy();
  }
}

function explained(error: unknown, file: string): unknown {
  const code = codeOf(error);
  if (code === "ENOENT") return new Error(`There is no archive ${file}.`);
  if (code === "EACCES" || code === "EISDIR") return new Error(`The archive ${file} cannot be read.`);
  if (
    /^ZSTD_|^Z_/.test(code) ||
    /zstd|unexpected end of file/i.test(error instanceof Error ? error.message : "")
  )
    return new Error(`The archive ${file} is damaged, cut off, or no archive of Roost.`);
  return asStorageError(error);
}
