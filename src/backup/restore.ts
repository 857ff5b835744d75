// Puts an archive into an empty data folder. Everything is unpacked beside its place and checked, hashes and databases, before
// anything is moved: a bad archive leaves the folder as empty as it was. Databases are moved last, so a half-moved folder never
// looks like a running server's.
import { existsSync, mkdirSync, readdirSync, renameSync, rmdirSync, rmSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Progress } from "../cli/progress.ts";
import { syncFolder } from "../storage/durable-file.ts";
import { lockFolder } from "../storage/lock.ts";
import { checkCopy } from "./databases.ts";
import { fileSink } from "./file-sink.ts";
import { type KnownDatabase, knownAs } from "./known-database.ts";
import { isDatabaseName, type Manifest } from "./manifest.ts";
import { isLock, isScratch, scratchFolder } from "./scratch.ts";
import { type FileSink, verifyArchive } from "./verify.ts";

const FOLDER_MODE = 0o700;
const CLOSING_TOGETHER = 32;
/** What a folder without data may have: of a start that was refused, of a file system's own. */
const RUN_FILES = ["roost.lock", "roost.lock-journal", "roost.pid", "roost.sock", "roost.admin", "roost.url"];
const NO_DATA = [...RUN_FILES, "retention-clock.json", "lost+found"];

export interface RestoreOptions {
  readonly file: string;
  readonly dataDir: string;
  /** Databases that this executable knows. */
  readonly known: readonly KnownDatabase[];
  readonly progress: Progress;
}

/** @throws Error with a sentence for the person; the folder is then as it was. */
export async function restoreArchive({ file, dataDir, known, progress }: RestoreOptions): Promise<Manifest> {
  const packedBytes = statSync(file, { throwIfNoEntry: false })?.size;
  if (packedBytes === undefined) throw new Error(`There is no archive ${file}.`);
  const isNew = !existsSync(dataDir);
  mkdirSync(dataDir, { recursive: true, mode: FOLDER_MODE });
  refuseData(dataDir);
  // Nobody can start a server here meanwhile.
  const lock = lockFolder(dataDir);
  try {
    refuseData(dataDir);
    using scratch = scratchFolder(dataDir);
    progress.begin("restoring", packedBytes);
    const closing = new Closing();
    const manifest = await verifyArchive({
      file,
      progress,
      sinkFor: async (name) => closing.later(await fileSink(join(scratch.path, name), { durable: true })),
    });
    await closing.done();
    progress.end();
    const databases = Object.keys(manifest.files).filter(isDatabaseName);
    if (databases.length === 0) throw new Error("The archive holds no database.");
    for (const name of databases) {
      const database = knownAs(known, name);
      refuseNewer(database, checkCopy(join(scratch.path, name), database));
    }
    moveAll(scratch.path, dataDir);
    return manifest;
  } catch (error) {
    progress.end();
    lock.release();
    if (isNew) removeEmpty(dataDir);
    throw error;
  } finally {
    lock.release();
  }
}

/** Syncing one file after the other would take most of the time: some are under way together. */
class Closing {
  readonly #underWay = new Set<Promise<void>>();
  #failure: { readonly error: unknown } | undefined;

  later(sink: FileSink): FileSink {
    return {
      write: (chunk) => sink.write(chunk),
      close: async () => {
        const closed = sink
          .close()
          .catch((error: unknown) => {
            this.#failure ??= { error };
          })
          .finally(() => this.#underWay.delete(closed));
        this.#underWay.add(closed);
        if (this.#underWay.size >= CLOSING_TOGETHER) await Promise.race(this.#underWay);
      },
    };
  }

  /** @throws what the first that failed has thrown. */
  async done(): Promise<void> {
    await Promise.all(this.#underWay);
    if (this.#failure !== undefined) throw this.#failure.error;
  }
}

function refuseData(dataDir: string): void {
  const found = readdirSync(dataDir).find((name) => !NO_DATA.includes(name) && !isScratch(name));
  if (found === undefined) return;
  throw new Error(
    `The data folder ${dataDir} is not empty (it holds ${found}). Move its contents away, or name another folder with --data-dir.`,
  );
}

function refuseNewer({ file, identity, newest }: KnownDatabase, version: number): void {
  if (version > newest)
    throw new Error(
      `${file} in the archive was written by a newer ${identity.kind === "own" ? "Roost" : identity.format} (version ${version}, this one knows ${newest}). Use the newer executable.`,
    );
}

function moveAll(from: string, to: string): void {
  syncTree(from);
  const names = readdirSync(from).filter((name) => !isLock(name));
  for (const name of [...names.filter((one) => !isDatabaseName(one)), ...names.filter(isDatabaseName)])
    renameSync(join(from, name), join(to, name));
  syncFolder(to);
  syncFolder(dirname(to));
}

/** Files are synced when they are closed; their names are not. */
function syncTree(folder: string): void {
  for (const entry of readdirSync(folder, { withFileTypes: true }))
    if (entry.isDirectory()) syncTree(join(folder, entry.name));
  syncFolder(folder);
}

/** Only what this restore itself has made. */
function removeEmpty(dataDir: string): void {
  for (const name of RUN_FILES) rmSync(join(dataDir, name), { force: true });
  try {
    rmdirSync(dataDir);
  } catch {
    // Somebody else has put something there meanwhile.
  }
}
