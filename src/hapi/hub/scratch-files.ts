// Files of notes, beside the database where the original keeps them: one folder a namespace, in it one a session. A file is there for
// the notes that name it; what none names is removed after a day, by every clock that was seen, so that an upload that was given up costs
// nothing. No link is followed: what is removed here is ours.
import { randomUUID } from "node:crypto";
import { type Dirent, lstatSync, lutimesSync, rmSync } from "node:fs";
import { lstat, lutimes, mkdir, open, readdir, readFile, rm, rmdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { isFolder } from "../../storage/blob-files.ts";
import { whenDescriptorsAreFree } from "../../storage/descriptor-wait.ts";
import { syncFolders } from "../../storage/durable-file.ts";
import { codeOf, isAbsent, StorageError } from "../../storage/errors.ts";
import type { SessionKey } from "../store/rows.ts";
import { isObject } from "../wire/shape.ts";
import { AbandonedFiles } from "./abandoned-files.ts";
import { ScratchRoom } from "./scratch-room.ts";
import { type Clocks, SeenClocks } from "./seen-clocks.ts";

export const SCRATCH_LIMITS = {
  maxBytesPerFile: 10 * 1024 * 1024,
  maxAttachmentsPerEntry: 4,
  maxBytesPerEntry: 20 * 1024 * 1024,
  maxBytesPerSession: 100 * 1024 * 1024,
  allowedMimeTypes: [
    "image/jpeg",
    "image/png",
    "image/gif",
    "image/webp",
    "image/svg+xml",
    "application/pdf",
    "text/plain",
  ],
} as const;

/** As notes describe it, and clients see it. */
export interface ScratchFile {
  readonly id: string;
  readonly filename: string;
  readonly mimeType: string;
  readonly size: number;
  readonly path: string;
}

/** What a path of a description names. */
export interface ScratchPlace {
  readonly namespace: string;
  readonly session: string;
  readonly id: string;
  readonly filename: string;
}

export const FOLDER = "scratchlist-attachments";
const PREFIX = "hapi-hub:scratchlist/";
const ID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const ABANDONED_MS = 24 * 60 * 60 * 1_000;
/** A clock may have been set while no server ran. Whoever uploaded before that, and comes back, has so long of a running server for the note. */
const SETTLED_MS = 5 * 60 * 60 * 1_000;
/** How often a folder is made again that was swept away as an empty one, by this process or by a command beside it. */
const MAX_TRIES = 10;
/** Of a name, in bytes: file systems end at 255, and the id comes before it. */
const MAX_NAME_BYTES = 180;
/** Of a folder's name. */
const MAX_SEGMENT_BYTES = 255;

export interface ScratchFilesParts {
  readonly home: string;
  /** That the files of one namespace may have; 0 is no limit, as by default. */
  readonly maxBytes?: () => number;
  readonly clocks?: Clocks;
}

export class ScratchFiles {
  readonly #root: string;
  readonly #room: ScratchRoom;
  readonly #clocks: SeenClocks;
  readonly #home: string;
  /** Of looks through all. */
  #abandoned: AbandonedFiles | undefined;
  /** When the first sweep of all began, by the steady clock. */
  #firstLook: number | undefined;

  constructor({ home, maxBytes = () => 0, clocks }: ScratchFilesParts) {
    this.#home = home;
    this.#root = join(home, FOLDER);
    this.#clocks = new SeenClocks(ABANDONED_MS, clocks);
    this.#room = new ScratchRoom({
      measure: (namespace) => this.#bytesIn(join(this.#root, namespace)),
      maxBytes,
      steady: () => this.#clocks.steady(),
    });
  }

  /** Undefined when its namespace has as many bytes as it may. @throws StorageError when there is no folder to put it into */
  async add(
    { namespace, id: session }: SessionKey,
    given: { readonly filename: string; readonly mimeType: string; readonly bytes: Uint8Array },
  ): Promise<ScratchFile | undefined> {
    const place = { namespace, session, id: randomUUID(), filename: cleanName(given.filename) };
    const { length } = given.bytes;
    if (!(await this.#room.take(segment(namespace), length))) return undefined;
    const folder = this.#folderOf(place);
    let isStored = false;
    try {
      await this.#write(place, given.bytes);
      // A file whose name a power cut takes is gone. Another upload may have made the folders, and not come to their names yet.
      await syncFolders([folder, dirname(folder), this.#root, dirname(this.#root)]);
      isStored = true;
    } catch (error) {
      throw isAbsent(error) ? cannot("their folder was removed meanwhile") : error;
    } finally {
      this.#room.taken(segment(namespace), length, isStored);
      // Half a file would take a part of the little that is left of a full disk.
      if (!isStored) await rm(this.#pathOf(place), { force: true }).catch(() => {});
    }
    const { id, filename } = place;
    return { id, filename, mimeType: given.mimeType, size: length, path: scratchPath(place) };
  }

  async #write(place: ScratchPlace, bytes: Uint8Array): Promise<void> {
    for (let tries = 1; ; tries++) {
      try {
        await this.#folderFor(place);
        const file = await whenDescriptorsAreFree(() => open(this.#pathOf(place), "wx", 0o600));
        try {
          await file.writeFile(bytes);
          // The clock of a file server may be another one.
          const now = this.#clocks.look() / 1_000;
          await file.utimes(now, now);
          await file.sync();
        } finally {
          await file.close();
        }
        return;
      } catch (error) {
        // A sweep has taken the folder, which was empty: once a file is in it, it stays.
        if (!isAbsent(error) || tries === MAX_TRIES) throw error;
      }
    }
  }

  async #folderFor(place: ScratchPlace): Promise<void> {
    if ([place.namespace, place.session].some((name) => Buffer.byteLength(segment(name)) > MAX_SEGMENT_BYTES))
      throw new StorageError(
        "quota",
        "Files of notes cannot be stored: the name of the namespace is too long.",
      );
    await mkdir(this.#folderOf(place), { recursive: true, mode: 0o700 });
    for (const folder of this.#foldersTo(place))
      if (!(await lstat(folder)).isDirectory()) throw cannot("their folder is a link");
  }

  /** Its size; from now on it is not old: a note comes to name it. Undefined when it is not there. */
  async keep(place: ScratchPlace): Promise<number | undefined> {
    const size = await this.sizeOf(place);
    if (size === undefined) return undefined;
    const now = this.#clocks.look() / 1_000;
    // A sweep that began before knows nothing of the note.
    const isThere = await absentAs(
      lutimes(this.#pathOf(place), now, now).then(() => true),
      false,
    );
    return isThere ? size : undefined;
  }

  /** Undefined when it is not there. */
  async sizeOf(place: ScratchPlace): Promise<number | undefined> {
    for (const folder of this.#foldersTo(place)) if (!(await isFolderHere(folder))) return undefined;
    const facts = await absentAs(lstat(this.#pathOf(place)), undefined);
    return facts?.isFile() ? facts.size : undefined;
  }

  async read(place: ScratchPlace): Promise<Uint8Array<ArrayBuffer> | undefined> {
    if ((await this.sizeOf(place)) === undefined) return undefined;
    return absentAs<Uint8Array<ArrayBuffer> | undefined>(readFile(this.#pathOf(place)), undefined);
  }

  async remove(place: ScratchPlace): Promise<void> {
    const size = await this.sizeOf(place);
    if (size === undefined) return;
    await rm(this.#pathOf(place), { force: true });
    this.#room.freed(segment(place.namespace), size);
  }

  /** The file of this id in the session's own folder. */
  async find({ namespace, id: session }: SessionKey, id: string): Promise<ScratchPlace | undefined> {
    const names = await this.#files(this.#folderOf({ namespace, session }));
    const name = ID.test(id) ? names.find((name) => name.startsWith(`${id}-`)) : undefined;
    return name === undefined ? undefined : { namespace, session, id, filename: name.slice(id.length + 1) };
  }

  async bytesOf({ namespace, id: session }: SessionKey): Promise<number> {
    const folder = this.#folderOf({ namespace, session });
    const sizes = await Promise.all(
      (await this.#files(folder)).map(
        async (name) => (await absentAs(lstat(join(folder, name)), undefined))?.size,
      ),
    );
    return sizes.reduce<number>((sum, size) => sum + (size ?? 0), 0);
  }

  /** How much each namespace has on the disk. */
  async bytesByNamespace(): Promise<Map<string, number>> {
    const found = new Map<string, number>();
    for (const namespace of await this.#folders(this.#root))
      found.set(unsegment(namespace), await this.#bytesIn(join(this.#root, namespace)));
    return found;
  }

  /** Of files that may be ours: below them is nothing. */
  async #bytesIn(folder: string): Promise<number> {
    let bytes = 0;
    for (const session of await this.#folders(folder))
      for (const name of await this.#files(join(folder, session)))
        bytes += (await absentAs(lstat(join(folder, session, name)), undefined))?.size ?? 0;
    return bytes;
  }

  /**
   * Removes what no note names and is a day old; of one session whatever its age, when it has gone.
   * @returns how many files went
   */
  async sweep(named: () => Promise<ReadonlySet<string>>, gone?: SessionKey): Promise<number> {
    let removed = 0;
    const began = this.#clocks.steady();
    if (gone === undefined) {
      this.#room.forget();
      this.#firstLook ??= began;
    }
    // Of most sessions there is none, and what is named is a long list.
    else if (!(await isFolderHere(this.#folderOf({ namespace: gone.namespace, session: gone.id })))) return 0;
    const isSettled = began - (this.#firstLook ?? began) >= SETTLED_MS;
    if (gone === undefined) this.#abandoned ??= new AbandonedFiles(this.#home, () => this.#clocks.steady());
    const look = gone === undefined ? this.#abandoned?.look() : undefined;
    const names = await named();
    for (const namespace of await this.#folders(this.#root)) {
      if (gone !== undefined && namespace !== segment(gone.namespace)) continue;
      for (const session of await this.#folders(join(this.#root, namespace))) {
        if (gone !== undefined && session !== segment(gone.id)) continue;
        const folder = join(this.#root, namespace, session);
        for (const name of await this.#files(folder)) {
          const path = join(folder, name);
          if (names.has(`${namespace}/${session}/${name}`)) continue;
          // In one go: between a look and what follows from it a note could come to name the file.
          const facts = lstatSync(path, { throwIfNoEntry: false });
          if (facts === undefined) continue;
          if (gone === undefined) {
            const now = this.#clocks.look();
            // A clock was ahead when it came: it is as old as this look.
            if (facts.mtimeMs > now) lutimesSync(path, now / 1_000, now / 1_000);
            if (this.#clocks.earliest() - facts.mtimeMs < ABANDONED_MS) continue;
            if (!isSettled && look?.isFor(path, SETTLED_MS) !== true) continue;
          }
          rmSync(path, { force: true });
          this.#room.freed(namespace, facts.size);
          removed++;
        }
        await rmdir(folder).catch(() => {});
      }
      await rmdir(join(this.#root, namespace)).catch(() => {});
    }
    look?.end();
    return removed;
  }

  /** That it runs counts for what looks abandoned, also in the runs after it. */
  keepAge(): void {
    this.#abandoned?.keep();
  }

  async #folders(folder: string): Promise<string[]> {
    return (await this.#entries(folder)).flatMap((entry) => (entry.isDirectory() ? [entry.name] : []));
  }

  async #files(folder: string): Promise<string[]> {
    return (await this.#entries(folder)).flatMap((entry) => (entry.isFile() ? [entry.name] : []));
  }

  async #entries(folder: string): Promise<Dirent[]> {
    // Those below the root were found as folders.
    if (!(await isFolderHere(folder))) return [];
    return absentAs<Dirent[]>(readdir(folder, { withFileTypes: true }), []);
  }

  /** None of them may be a link. */
  #foldersTo(place: ScratchPlace): readonly string[] {
    return [this.#root, join(this.#root, segment(place.namespace)), this.#folderOf(place)];
  }

  #folderOf({ namespace, session }: Pick<ScratchPlace, "namespace" | "session">): string {
    return join(this.#root, segment(namespace), segment(session));
  }

  #pathOf(place: ScratchPlace): string {
    return join(this.#folderOf(place), nameOf(place));
  }
}

const cannot = (why: string) => new StorageError("failed", `Files of notes cannot be stored: ${why}.`);

const nameOf = ({ id, filename }: ScratchPlace) => `${id}-${filename}`;

export const scratchPath = (place: ScratchPlace): string =>
  `${PREFIX}${segment(place.namespace)}/${segment(place.session)}/${nameOf(place)}`;

/** Undefined when it names no file of a note. */
export function scratchPlace(path: string): ScratchPlace | undefined {
  if (!path.startsWith(PREFIX)) return undefined;
  const [namespace, session, name, ...more] = path.slice(PREFIX.length).split("/");
  if (!namespace || !session || !name || more.length > 0) return undefined;
  const [id, filename] = [name.slice(0, 36), name.slice(37)];
  // The original may clean names in another way.
  if (!ID.test(id) || name[36] !== "-" || filename === "" || /\.\.|[\\\0]/.test(filename)) return undefined;
  const place = { namespace: unsegment(namespace), session: unsegment(session), id, filename };
  return scratchPath(place) === path ? place : undefined;
}

/** Of the descriptions in all notes: as the sweep compares them. */
export const namedFiles = (attachments: readonly unknown[]): ReadonlySet<string> =>
  new Set(
    attachments.flatMap((file) =>
      isObject(file) && typeof file.path === "string" && file.path.startsWith(PREFIX)
        ? [file.path.slice(PREFIX.length)]
        : [],
    ),
  );

/** A name that is no folder, whatever the file system. */
export function cleanName(name: string): string {
  const clean = name.replaceAll("..", "_").replaceAll(/[^\p{L}\p{N}._-]/gu, "_");
  const ending = /\.[A-Za-z0-9]{1,10}$/.exec(clean)?.[0] ?? "";
  let stem = clean.slice(0, clean.length - ending.length);
  while (Buffer.byteLength(stem) + ending.length > MAX_NAME_BYTES) stem = stem.slice(0, -1);
  return `${stem}${ending}` || "file";
}

/** A namespace is any text; as a folder it has no slash and is not the one above. */
const segment = (text: string): string =>
  encodeURIComponent(text).replaceAll(/^\.+$/g, (dots) => dots.replaceAll(".", "%2E"));

function unsegment(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Namespaces and names that clients send may be longer than any file's: there is none of them. */
const isFolderHere = (path: string): Promise<boolean> => absentAs(isFolder(path), false);

async function absentAs<T>(found: Promise<T>, absent: T): Promise<T> {
  try {
    return await found;
  } catch (error) {
    if (isAbsent(error) || codeOf(error) === "ENAMETOOLONG") return absent;
    throw error;
  }
}
