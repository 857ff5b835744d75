// Makes an archive of a data folder that a server may be using: databases as consistent snapshots, then everything else. Blobs come
// after the databases, so whatever a stored message names is in the archive. The archive appears whole under its name, or not at all.
import { createHash } from "node:crypto";
import {
  existsSync,
  constants as files,
  mkdirSync,
  readdirSync,
  renameSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { constants, createZstdCompress } from "node:zlib";
import { build } from "../build-info.ts";
import type { Progress } from "../cli/progress.ts";
import { blobFiles, filesBelow } from "../storage/blob-files.ts";
import { syncFolder } from "../storage/durable-file.ts";
import { asStorageError, codeOf, isAbsent } from "../storage/errors.ts";
import { fileSink } from "./file-sink.ts";
import type { Bounds } from "./high-water.ts";
import { bytesInHomeFolders, filesInHomeFolders } from "./home-folders.ts";
import { type KnownDatabase, knownAs, placeOf } from "./known-database.ts";
import {
  BLOB_FOLDER,
  type FileFacts,
  isArchivedName,
  isDatabaseName,
  MANIFEST_NAME,
  type Manifest,
  SINGLE_FILES,
} from "./manifest.ts";
import { scratchFolder } from "./scratch.ts";
import type { SnapshotAnswer, SnapshotRequest } from "./snapshot-worker.ts";
import { type TarEntry, writeTar } from "./tar.ts";

const FILE_MODE = 0o600;
const FOLDER_MODE = 0o700;
/** Of a file that is read or written. */
const CHUNK_BYTES = 256 * 1024;
const LOOK_EVERY_MS = 200;

export interface ArchiveOptions {
  readonly dataDir: string;
  /** Must not exist. */
  readonly file: string;
  /** Sentences about what the archive cannot hold, for its manifest. */
  readonly notes: readonly string[];
  /** Databases that this executable knows. */
  readonly known: readonly KnownDatabase[];
  readonly progress: Progress;
}

export interface Archive {
  readonly manifest: Manifest;
  readonly bytes: number;
  /** What each database said just before and just after its snapshot. */
  readonly bounds: Readonly<Record<string, Bounds>>;
}

/** @throws Error with a sentence for the person; then there is no file. */
export async function createArchive({
  dataDir,
  file,
  notes,
  known,
  progress,
}: ArchiveOptions): Promise<Archive> {
  const databases = databasesIn(dataDir, known);
  if (databases.length === 0)
    throw new Error(`There is nothing to back up in ${dataDir}: it holds no database.`);
  const target = resolve(file);
  if (existsSync(target)) throw new Error(`${file} is there already. Choose another name, or move it away.`);
  const folder = dirname(target);
  if (!existsSync(folder)) throw new Error(`The folder ${folder} is not there. Make it first.`);
  try {
    using scratch = scratchFolder(folder);
    const createdAt = Date.now();
    const blobs = join(dataDir, BLOB_FOLDER);
    const databaseBytes = databases.reduce(
      (sum, name) => sum + statSync(placeOf(known, dataDir, name)).size,
      0,
    );
    progress.begin(
      "backing up",
      2 * databaseBytes +
        (progress.isWatched
          ? (await filesBelow(blobs)).bytes + (await bytesInHomeFolders(known, dataDir))
          : 0),
    );
    const bounds: Record<string, Bounds> = {};
    const schemaVersions: Record<string, number> = {};
    for (const name of databases) {
      const answer = await snapshot(
        {
          path: placeOf(known, dataDir, name),
          target: join(scratch.path, name),
          questions: knownAs(known, name).highWater,
        },
        progress,
      );
      bounds[name] = answer.bounds;
      schemaVersions[name] = answer.schemaVersion;
    }
    const manifest: Manifest = {
      format: 1,
      roostVersion: build.version,
      createdAt,
      schemaVersions,
      notes: [...notes],
      files: {},
    };
    const partial = join(scratch.path, "archive");
    await pipeline(
      Readable.from(
        writeTar(contents({ dataDir, snapshots: scratch.path, databases, known, manifest, progress })),
        {
          objectMode: false,
          highWaterMark: CHUNK_BYTES,
        },
      ),
      createZstdCompress({ params: { [constants.ZSTD_c_checksumFlag]: 1 } }),
      async (packed: AsyncIterable<Uint8Array>) => {
        const sink = await fileSink(partial, { durable: true });
        try {
          for await (const chunk of packed) await sink.write(chunk);
        } finally {
          await sink.close();
        }
      },
    );
    renameSync(partial, target);
    syncFolder(folder);
    progress.end();
    return { manifest, bytes: statSync(target).size, bounds };
  } catch (error) {
    progress.end();
    throw explained(error, folder);
  }
}

/** As the archive calls them. */
function databasesIn(dataDir: string, known: readonly KnownDatabase[]): string[] {
  const here = existsSync(dataDir) ? readdirSync(dataDir).filter(isDatabaseName) : [];
  const inHomes = known.filter(
    ({ home, file }) => home !== undefined && existsSync(placeOf(known, dataDir, file)),
  );
  return [...here, ...inHomes.map(({ file }) => file)].sort();
}

/** In a thread of its own: the call takes as long as the database is large, and the progress bar goes on meanwhile. */
async function snapshot(
  request: SnapshotRequest,
  progress: Progress,
): Promise<Extract<SnapshotAnswer, { bounds: Bounds }>> {
  const { path, target } = request;
  mkdirSync(dirname(target), { recursive: true, mode: FOLDER_MODE });
  writeFileSync(target, "", { mode: FILE_MODE, flag: "wx" });
  const worker = new Worker(new URL("./snapshot-worker.ts", import.meta.url).href);
  const { promise, resolve, reject } = Promise.withResolvers<SnapshotAnswer>();
  let seen = 0;
  const look = () => {
    const { size } = statSync(target);
    progress.advance(Math.max(0, size - seen));
    seen = Math.max(seen, size);
  };
  const timer = setInterval(look, LOOK_EVERY_MS);
  try {
    worker.onmessage = (event: MessageEvent<SnapshotAnswer>) => resolve(event.data);
    worker.onerror = (event) => reject(new Error(event.message));
    worker.postMessage(request);
    const answer = await promise;
    if ("error" in answer)
      throw Object.assign(new Error(answer.error), { code: answer.code, database: path });
    look();
    return answer;
  } finally {
    clearInterval(timer);
    worker.terminate();
  }
}

interface Contents {
  readonly dataDir: string;
  /** Folder of the databases' copies. */
  readonly snapshots: string;
  readonly databases: readonly string[];
  readonly known: readonly KnownDatabase[];
  /** Its list of files is filled on the way. */
  readonly manifest: Manifest;
  readonly progress: Progress;
}

async function* contents({
  dataDir,
  snapshots,
  databases,
  known,
  manifest,
  progress,
}: Contents): AsyncGenerator<TarEntry> {
  const enter = (name: string, facts: FileFacts) => {
    manifest.files[name] = facts;
  };
  for (const name of databases) yield* fileEntry(name, join(snapshots, name), enter, progress);
  for (const name of [...SINGLE_FILES, ...configurations(known), ...filesInHomes(known)])
    yield* fileEntry(name, placeOf(known, dataDir, name), enter, progress);
  for await (const { name, path } of archivedBlobs(join(dataDir, BLOB_FOLDER)))
    yield* fileEntry(name, path, enter, progress);
  const leftOut = (sentence: string) => manifest.notes.push(sentence);
  for await (const { name, path } of filesInHomeFolders(known, dataDir, leftOut))
    yield* fileEntry(name, path, enter, progress, false);
  const text = Buffer.from(`${JSON.stringify(manifest, null, 1)}\n`);
  yield {
    name: MANIFEST_NAME,
    size: text.byteLength,
    mode: FILE_MODE,
    modifiedMs: manifest.createdAt,
    content: Readable.from([text]),
  };
}

const configurations = (known: readonly KnownDatabase[]): Set<string> =>
  new Set(known.flatMap(({ configured }) => configured ?? []));

const filesInHomes = (known: readonly KnownDatabase[]): Set<string> =>
  new Set(known.flatMap(({ home }) => home?.files.map((file) => `${home.name}/${file}`) ?? []));

/** One entry; none for a file that is not there (any more). */
async function* fileEntry(
  name: string,
  path: string,
  enter: (name: string, facts: FileFacts) => void,
  progress: Progress,
  followsLinks = true,
): AsyncGenerator<TarEntry> {
  let file: FileHandle;
  try {
    // What has become a link since it was found is none of ours.
    file = await open(path, followsLinks ? "r" : files.O_RDONLY | files.O_NOFOLLOW);
  } catch (error) {
    if (isAbsent(error) || (!followsLinks && codeOf(error) === "ELOOP")) return;
    throw error;
  }
  try {
    // Of the opened file: one that is replaced under its name meanwhile stays what it was.
    const { size, mtimeMs } = await file.stat();
    const hash = createHash("sha256");
    const content = hashed(file, size, hash, progress);
    yield { name, size, mode: FILE_MODE, modifiedMs: mtimeMs, content };
    enter(name, { size, sha256: hash.digest("hex") });
  } finally {
    await file.close();
  }
}

/** As long as the header will say, also when the file grows meanwhile. */
async function* hashed(
  file: FileHandle,
  size: number,
  hash: ReturnType<typeof createHash>,
  progress: Progress,
): AsyncGenerator<Uint8Array> {
  for (let left = size; left > 0; ) {
    const wanted = Math.min(CHUNK_BYTES, left);
    const { bytesRead, buffer } = await file.read(new Uint8Array(wanted), 0, wanted);
    if (bytesRead === 0) return;
    left -= bytesRead;
    const chunk = buffer.subarray(0, bytesRead);
    hash.update(chunk);
    progress.advance(bytesRead);
    yield chunk;
  }
}

/** The blobs as the archive calls them; without what is being uploaded. */
async function* archivedBlobs(folder: string): AsyncGenerator<{ name: string; path: string }> {
  for await (const { path, parts } of blobFiles(folder)) {
    const name = [BLOB_FOLDER, ...parts].join("/");
    if (!parts.at(-1)?.startsWith(".") && isArchivedName(name)) yield { name, path };
  }
}

function explained(error: unknown, folder: string): unknown {
  const code = codeOf(error);
  if (code === "EACCES" || code === "EPERM" || code === "EROFS")
    return new Error(`The backup could not be made: this user may not read the data or write to ${folder}.`);
  if (["SQLITE_FULL", "ENOSPC", "EDQUOT"].includes(code))
    return new Error(`The disk of ${folder} is too full for the backup. Nothing was left there.`);
  if (code.startsWith("SQLITE_BUSY"))
    return new Error(
      "Another program keeps a database locked, also for readers. End it (such as sqlite3 or a copying tool), then try again.",
    );
  if (code.startsWith("SQLITE_CORRUPT") || code === "SQLITE_NOTADB")
    return new Error(
      `A database is damaged and cannot be copied: ${error instanceof Error ? error.message : code}.`,
    );
  return asStorageError(error);
}
