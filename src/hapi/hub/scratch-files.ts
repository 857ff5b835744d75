// Files of notes, beside the database where the original keeps them: one folder a namespace, in it one a session. A file is there for
// the notes that name it; what none names is removed after a day, so that an upload that was given up costs nothing.
import { randomUUID } from "node:crypto";
import { mkdir, readdir, readFile, rm, rmdir, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { syncFolders } from "../../storage/durable-file.ts";
import { isAbsent } from "../../storage/errors.ts";
import type { SessionKey } from "../store/rows.ts";
import { isObject } from "../wire/shape.ts";

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
/** Of a name, in bytes: file systems end at 255, and the id comes before it. */
const MAX_NAME_BYTES = 180;

export class ScratchFiles {
  readonly #root: string;

  constructor(home: string) {
    this.#root = join(home, FOLDER);
  }

  async add(
    { namespace, id: session }: SessionKey,
    given: { readonly filename: string; readonly mimeType: string; readonly bytes: Uint8Array },
  ): Promise<ScratchFile> {
    const place = { namespace, session, id: randomUUID(), filename: cleanName(given.filename) };
    const path = this.#pathOf(place);
    const folder = this.#folderOf(place);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    try {
      await writeFile(path, given.bytes, { mode: 0o600, flush: true, flag: "wx" });
    } catch (error) {
      // Half a file would take a part of the little that is left of a full disk.
      await rm(path, { force: true });
      throw error;
    }
    // A file whose name a power cut takes is gone. Another upload may have made the folders, and not come to their names yet.
    await syncFolders([folder, dirname(folder), this.#root, dirname(this.#root)]);
    const { id, filename } = place;
    return { id, filename, mimeType: given.mimeType, size: given.bytes.length, path: scratchPath(place) };
  }

  /** Undefined when it is not there. */
  async sizeOf(place: ScratchPlace): Promise<number | undefined> {
    return (await absentAs(stat(this.#pathOf(place)), undefined))?.size;
  }

  read(place: ScratchPlace): Promise<Uint8Array<ArrayBuffer> | undefined> {
    return absentAs<Uint8Array<ArrayBuffer> | undefined>(readFile(this.#pathOf(place)), undefined);
  }

  remove(place: ScratchPlace): Promise<void> {
    return rm(this.#pathOf(place), { force: true });
  }

  /** The file of this id in the session's own folder. */
  async find({ namespace, id: session }: SessionKey, id: string): Promise<ScratchPlace | undefined> {
    const names = await this.#names(this.#folderOf({ namespace, session }));
    const name = ID.test(id) ? names.find((name) => name.startsWith(`${id}-`)) : undefined;
    return name === undefined ? undefined : { namespace, session, id, filename: name.slice(id.length + 1) };
  }

  async bytesOf({ namespace, id: session }: SessionKey): Promise<number> {
    const folder = this.#folderOf({ namespace, session });
    const sizes = await Promise.all(
      (await this.#names(folder)).map(
        async (name) => (await absentAs(stat(join(folder, name)), undefined))?.size,
      ),
    );
    return sizes.reduce<number>((sum, size) => sum + (size ?? 0), 0);
  }

  /**
   * Removes what no note names and is a day old; of one session whatever its age, when it has gone.
   * @returns how many files went
   */
  async sweep(named: ReadonlySet<string>, now: number, gone?: SessionKey): Promise<number> {
    let removed = 0;
    for (const namespace of await this.#names(this.#root)) {
      if (gone !== undefined && namespace !== segment(gone.namespace)) continue;
      for (const session of await this.#names(join(this.#root, namespace))) {
        if (gone !== undefined && session !== segment(gone.id)) continue;
        const folder = join(this.#root, namespace, session);
        for (const name of await this.#names(folder)) {
          const path = join(folder, name);
          if (named.has(`${namespace}/${session}/${name}`)) continue;
          const changedAt = (await absentAs(stat(path), undefined))?.mtimeMs ?? now;
          if (gone === undefined && now - changedAt < ABANDONED_MS) continue;
          await rm(path, { force: true });
          removed++;
        }
        await rmdir(folder).catch(() => {});
      }
      await rmdir(join(this.#root, namespace)).catch(() => {});
    }
    return removed;
  }

  #names(folder: string): Promise<string[]> {
    return absentAs(readdir(folder), []);
  }

  #folderOf({ namespace, session }: Pick<ScratchPlace, "namespace" | "session">): string {
    return join(this.#root, segment(namespace), segment(session));
  }

  #pathOf(place: ScratchPlace): string {
    return join(this.#folderOf(place), nameOf(place));
  }
}

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

async function absentAs<T>(found: Promise<T>, absent: T): Promise<T> {
  try {
    return await found;
  } catch (error) {
    if (isAbsent(error)) return absent;
    throw error;
  }
}
