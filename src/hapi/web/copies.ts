// Copies of the web app in the data folder (HTTP contract, H3): each in a folder of its own that is written aside, synced and renamed, and
// a pointer that says which one is served. A running server follows the pointer. The copy before stays until the next install, for
// browsers that still show it.
import { createHash } from "node:crypto";
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { z } from "zod";
import { syncFolder, writeFileDurably } from "../../storage/durable-file.ts";
import { isAbsent, StorageError } from "../../storage/errors.ts";
import { lockFolder } from "../../storage/lock.ts";
import type { AppFiles } from "./mirror.ts";
import { NOTE } from "./names.ts";

/** Hidden: no name of the app's begins with a dot. */
export const GZIP_FOLDER = ".gzip";
const POINTER = "current.json";
const ASIDE = ".incoming-";
const COMPRESSES = /\.(?:html|js|mjs|css|json|webmanifest|svg|txt|map|wasm|ico|ttf)$/;
/** Less saved is not worth a second file. */
const WORTH = 0.9;

const copyName = z.string().regex(/^[0-9a-f]{12}(?:-\d{1,6})?$/);
const pointer = z.object({ current: copyName, previous: copyName.optional() });
export type Pointer = z.infer<typeof pointer>;

const note = z.object({
  /** How it was got, for an update. */
  way: z.enum(["hub", "cli", "download"]),
  /** The hub, the executable, or the package. */
  from: z.string(),
  at: z.iso.datetime(),
  files: z.number(),
  bytes: z.number(),
  /** Of the CLI that it was in. */
  version: z.string().optional(),
  license: z.string(),
  source: z.string(),
});
export type SourceNote = z.infer<typeof note>;

export const LICENSE = "AGPL-3.0-only";
export const SOURCE = "https://github.com/tiann/hapi";

export const copiesIn = (dataDir: string): string => join(dataDir, "hapi-web");
export const pointerIn = (folder: string): string => join(folder, POINTER);

/** Undefined where none is installed, or what stands there says nothing. */
export function readPointer(folder: string): Pointer | undefined {
  return readAs(pointerIn(folder), pointer);
}

/** Of one copy. */
export const readNote = (copy: string): SourceNote | undefined => readAs(join(copy, NOTE), note);

function readAs<T extends z.ZodType>(path: string, schema: T): z.output<T> | undefined {
  try {
    return schema.safeParse(JSON.parse(readFileSync(path, "utf8"))).data;
  } catch (error) {
    if (isAbsent(error) || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

export interface Installed {
  readonly folder: string;
  /** False: the same was there, whole. */
  readonly isNew: boolean;
  readonly note: SourceNote;
}

/** What one command does to the copies while no other does. */
export class Copies implements Disposable {
  readonly #lock: { release(): void };

  /** @throws Error with a sentence while another command is at it. */
  constructor(readonly folder: string) {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    try {
      this.#lock = lockFolder(folder);
    } catch (error) {
      if (!(error instanceof StorageError) || error.code !== "in-use") throw error;
      throw new Error(
        "Another command is just installing or removing the web app. Try again when it has ended.",
      );
    }
    // Of commands that were cut off.
    for (const name of readdirSync(folder))
      if (name.startsWith(ASIDE)) rmSync(join(folder, name), { recursive: true, force: true });
  }

  /** Whole, or as it was before. @throws the system's error */
  install(files: AppFiles, about: Pick<SourceNote, "way" | "from" | "version">): Installed {
    const index = files.get("index.html");
    if (index === undefined) throw new Error("a web app without index.html");
    const bytes = [...files.values()].reduce((sum, { byteLength }) => sum + byteLength, 0);
    const written: SourceNote = {
      ...about,
      at: new Date().toISOString(),
      files: files.size,
      bytes,
      license: LICENSE,
      source: SOURCE,
    };
    const before = readPointer(this.folder)?.current;
    if (before !== undefined && holds(join(this.folder, before), files)) {
      const folder = join(this.folder, before);
      writeFileDurably(join(folder, NOTE), inJson(written), 0o600);
      return { folder, isNew: false, note: written };
    }
    const name = this.#freeName(createHash("sha256").update(index).digest("hex").slice(0, 12));
    const aside = mkdtempSync(join(this.folder, ASIDE));
    try {
      const folders = new Set([aside]);
      for (const [file, content] of files) {
        write(join(aside, file), content, folders);
        const zipped = COMPRESSES.test(file) ? gzipSync(content, { level: 9 }) : undefined;
        if (zipped !== undefined && zipped.byteLength < content.byteLength * WORTH)
          write(join(aside, GZIP_FOLDER, file), zipped, folders);
      }
      write(join(aside, NOTE), Buffer.from(inJson(written)), folders);
      for (const folder of folders) syncFolder(folder);
      renameSync(aside, join(this.folder, name));
    } catch (error) {
      rmSync(aside, { recursive: true, force: true });
      throw error;
    }
    syncFolder(this.folder);
    this.#point({ current: name, previous: before });
    this.#removeAllBut([name, before]);
    return { folder: join(this.folder, name), isNew: true, note: written };
  }

  /** @returns whether there was one. */
  remove(): boolean {
    const path = pointerIn(this.folder);
    const was = existsSync(path);
    // First the pointer: nobody is served what is half gone.
    rmSync(path, { force: true });
    syncFolder(this.folder);
    this.#removeAllBut([]);
    return was;
  }

  [Symbol.dispose](): void {
    this.#lock.release();
  }

  /** The same index page can come with other files: its copy gets a number behind its name. */
  #freeName(hash: string): string {
    for (let number = 1; ; number++) {
      const name = number === 1 ? hash : `${hash}-${number}`;
      if (!existsSync(join(this.folder, name))) return name;
    }
  }

  #point(to: Pointer): void {
    writeFileDurably(pointerIn(this.folder), inJson(to), 0o600);
  }

  #removeAllBut(kept: readonly (string | undefined)[]): void {
    for (const name of readdirSync(this.folder))
      if (copyName.safeParse(name).success && !kept.includes(name))
        rmSync(join(this.folder, name), { recursive: true, force: true });
  }
}

const inJson = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;

/** Never over something: two names that a file system takes for one spoil the install, and not each other. */
function write(path: string, content: Uint8Array, folders: Set<string>): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  for (let folder = dirname(path); !folders.has(folder); folder = dirname(folder)) folders.add(folder);
  const file = openSync(path, "wx", 0o600);
  try {
    for (let at = 0; at < content.byteLength; ) at += writeSync(file, content, at);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** Whether a copy has exactly these files, undamaged. */
function holds(copy: string, files: AppFiles): boolean {
  if (readNote(copy)?.files !== files.size) return false;
  for (const [name, content] of files) {
    try {
      if (!readFileSync(join(copy, name)).equals(content)) return false;
    } catch (error) {
      if (isAbsent(error)) return false;
      throw error;
    }
  }
  return true;
}
