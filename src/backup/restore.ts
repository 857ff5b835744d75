// Puts an archive into an empty data folder. Everything is unpacked beside its place and checked, hashes and databases, before
// anything is moved: a bad archive leaves the folder as empty as it was. Databases are moved last, so a half-moved folder never
// looks like a running server's. What lies in a folder of its own elsewhere is unpacked there, and nothing there is replaced.
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
} from "node:fs";
import { dirname, join } from "node:path";
import type { Progress } from "../cli/progress.ts";
import { syncFolder } from "../storage/durable-file.ts";
import { lockFolder } from "../storage/lock.ts";
import { checkCopy } from "./databases.ts";
import { fileSink } from "./file-sink.ts";
import { foldersIn, homeOf, type KnownDatabase, type KnownHome, knownAs } from "./known-database.ts";
import { isDatabaseName, type Manifest } from "./manifest.ts";
import { isLock, isScratch, type Scratch, scratchFolder } from "./scratch.ts";
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
    using homes = new Homes(known);
    progress.begin("restoring", packedBytes);
    const closing = new Closing();
    const unpacked = (name: string) => homes.unpacked(name) ?? join(scratch.path, name);
    const manifest = await verifyArchive({
      file,
      folders: foldersIn(known),
      progress,
      sinkFor: async (name) => closing.later(await fileSink(unpacked(name), { durable: true })),
    });
    await closing.done();
    progress.end();
    const databases = Object.keys(manifest.files).filter(isDatabaseName);
    if (databases.length === 0) throw new Error("The archive holds no database.");
    for (const name of databases) {
      const database = knownAs(known, name);
      refuseNewer(database, checkCopy(unpacked(name), database));
    }
    homes.moveAll();
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

/** Folders of a database's own that are not below the data folder: each is unpacked in itself, so that moving is only renaming. */
class Homes implements Disposable {
  readonly #open = new Map<
    string,
    { readonly home: KnownHome; readonly scratch: Scratch; release(): void }
  >();

  constructor(private readonly known: readonly KnownDatabase[]) {}

  /** Where to unpack a file of the archive; undefined for one that belongs below the data folder. */
  unpacked(name: string): string | undefined {
    const home = homeOf(this.known, name);
    if (!home?.isElsewhere) return undefined;
    const { scratch } = this.#open.get(home.name) ?? this.#begin(home);
    return join(scratch.path, name.slice(home.name.length + 1));
  }

  moveAll(): void {
    for (const { home, scratch } of this.#open.values()) {
      this.#refuseTaken(home);
      moveAll(scratch.path, home.folder);
    }
  }

  [Symbol.dispose](): void {
    for (const { scratch, release } of this.#open.values()) {
      scratch[Symbol.dispose]();
      release();
    }
  }

  #begin(home: KnownHome): { readonly scratch: Scratch } {
    const isNew = !existsSync(home.folder);
    mkdirSync(home.folder, { recursive: true, mode: FOLDER_MODE });
    this.#refuseTaken(home);
    const lock = lockFolder(home.folder, home.flag);
    const release = () => {
      lock.release();
      if (isNew && this.#taken(home) === undefined) removeEmpty(home.folder);
    };
    const begun = { home, scratch: scratchFolder(home.folder), release };
    this.#open.set(home.name, begun);
    return begun;
  }

  #taken({ name, folder, files, folders = [] }: KnownHome): string | undefined {
    const databases = this.known.flatMap(({ file, home }) =>
      home?.name === name ? [file.slice(name.length + 1)] : [],
    );
    return (
      [...databases, ...files].find((file) => existsSync(join(folder, file))) ??
      folders.find((one) => holdsAnything(join(folder, one)))
    );
  }

  #refuseTaken(home: KnownHome): void {
    const { folder, flag } = home;
    const found = this.#taken(home);
    if (found !== undefined)
      throw new Error(
        `The folder ${folder} is not free (it holds ${found}). Move that away, or name another folder with ${flag}.`,
      );
  }
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
  const isData = (name: string) => isDatabaseName(name) || isHome(from, name);
  for (const name of [...names.filter((one) => !isData(one)), ...names.filter(isData)])
    renameSync(join(from, name), join(to, name));
  syncFolder(to);
  syncFolder(dirname(to));
}

/** A folder that holds a database. */
const isHome = (parent: string, name: string): boolean =>
  statSync(join(parent, name)).isDirectory() &&
  readdirSync(join(parent, name)).some((file) => isDatabaseName(`${name}/${file}`));

/** An empty folder is nothing; a link is not ours to follow. */
function holdsAnything(path: string): boolean {
  const found = lstatSync(path, { throwIfNoEntry: false });
  return found !== undefined && (!found.isDirectory() || readdirSync(path).length > 0);
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
