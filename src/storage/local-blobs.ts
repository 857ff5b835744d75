// Blobs as files of one folder, readable by the owner only. A blob is streamed to a temporary file beside its place, synced, and
// renamed: a crash or a cut-off upload never leaves half a blob, and temporary files of an earlier run are swept after the start.
import { createHash } from "node:crypto";
import { mkdirSync, statfsSync } from "node:fs";
import { type FileHandle, mkdir, open, rename, rm, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import type { Logger } from "pino";
import { blobFiles, filesBelow } from "./blob-files.ts";
import { type BlobContent, type BlobStore, isBlobKey, type StoredBlob } from "./blobs.ts";
import { whenDescriptorsAreFree } from "./descriptor-wait.ts";
import { syncFolders } from "./durable-file.ts";
import { asStorageError, isAbsent, StorageError } from "./errors.ts";

export interface LocalBlobsOptions {
  /** Made when it is absent. */
  readonly folder: string;
  /** Free disk space that a blob may not use up. */
  readonly minFreeBytes: number;
  readonly log: Logger;
}

/** No stored name begins with a dot. */
const TEMPORARY = ".part-";
const FILE_MODE = 0o600;
const FOLDER_MODE = 0o700;

export class LocalBlobs implements BlobStore {
  readonly direct = undefined;
  readonly #folder: string;
  readonly #minFreeBytes: number;
  readonly #log: Logger;
  /** Tells temporary files of this run from leftovers. */
  readonly #run = crypto.randomUUID().slice(0, 8);
  #count = 0;
  /** Room that uploads under way will take. */
  #heldBytes = 0;
  #sweeping: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor({ folder, minFreeBytes, log }: LocalBlobsOptions) {
    mkdirSync(folder, { recursive: true, mode: FOLDER_MODE });
    this.#folder = resolve(folder);
    this.#minFreeBytes = minFreeBytes;
    this.#log = log;
  }

  async put(key: string, content: BlobContent, roomBytes: number): Promise<void> {
    const path = this.#path(key);
    if (path === undefined) throw new Error("not a blob key");
    this.#hold(roomBytes);
    try {
      await this.#write(path, content);
    } catch (error) {
      throw asStorageError(error);
    } finally {
      this.#heldBytes -= roomBytes;
    }
  }

  async find(key: string): Promise<StoredBlob | undefined> {
    const path = this.#path(key);
    if (path === undefined) return undefined;
    try {
      const found = await stat(path);
      return found.isFile() ? { size: found.size, bytes: Bun.file(path) } : undefined;
    } catch (error) {
      if (isAbsent(error)) return undefined;
      throw error;
    }
  }

  async removeFolder(folder: string): Promise<void> {
    const path = this.#path(folder);
    if (path !== undefined) await rm(path, { recursive: true, force: true });
  }

  async folderBytes(folder: string): Promise<number> {
    const path = this.#path(folder);
    return path === undefined ? 0 : (await filesBelow(path)).bytes;
  }

  start(): void {
    this.#sweeping = this.#sweep().catch((error: unknown) => {
      this.#log.warn({ err: error }, "leftovers of cut-off uploads could not be swept");
    });
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#sweeping;
  }

  #path(key: string): string | undefined {
    return isBlobKey(key) ? join(this.#folder, ...key.split("/").map(fileName)) : undefined;
  }

  /** @throws StorageError when the disk would have too little room left. */
  #hold(bytes: number): void {
    const { bavail, bsize, blocks } = statfsSync(this.#folder);
    // Some network file systems do not know.
    const free = blocks === 0 ? Number.POSITIVE_INFINITY : bavail * bsize;
    if (free - this.#heldBytes - bytes < this.#minFreeBytes) {
      throw new StorageError(
        "disk-full",
        "The disk of the server is almost full: nothing was stored. Free some space and try again.",
      );
    }
    this.#heldBytes += bytes;
  }

  async #write(path: string, content: BlobContent): Promise<void> {
    const folder = dirname(path);
    await this.#makeFolder(folder);
    const temporary = join(folder, `${TEMPORARY}${this.#run}-${this.#count++}`);
    try {
      const file = await whenDescriptorsAreFree(() => open(temporary, "wx", FILE_MODE));
      try {
        for await (const chunk of content) await writeWhole(file, chunk);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(temporary, path);
      await syncFolders([folder]);
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
  }

  /**
   * Makes a folder and its parents so that they survive a power cut. Also those that are there: another upload may have made them a moment
   * ago, or a process that was killed, and not come to their names.
   */
  async #makeFolder(folder: string): Promise<void> {
    await mkdir(folder, { recursive: true, mode: FOLDER_MODE });
    const above: string[] = [];
    for (let made = folder; made.length >= this.#folder.length; made = dirname(made))
      above.push(dirname(made));
    await syncFolders(above);
  }

  async #sweep(): Promise<void> {
    for await (const { path, parts } of blobFiles(this.#folder)) {
      if (this.#stopped) return;
      const name = parts.at(-1) ?? "";
      if (name.startsWith(TEMPORARY) && !name.startsWith(`${TEMPORARY}${this.#run}-`))
        await rm(path, { force: true });
    }
  }
}

/**
 * The name of one part of a key on disk. Ordinary names stay as they are, also those that the original server stored. Every other is
 * escaped so that no file system takes it for something else, and one that would be too long is replaced by its hash.
 */
function fileName(part: string): string {
  if (/^\w[\w.-]{0,199}$/.test(part) && !part.endsWith(".")) return part;
  const escaped = Array.from(Buffer.from(part, "utf8"), (byte) => {
    const character = String.fromCharCode(byte);
    return /[\w-]/.test(character) ? character : `%${byte.toString(16).padStart(2, "0")}`;
  }).join("");
  return escaped.length <= 200 ? escaped : `%sha256-${createHash("sha256").update(part).digest("hex")}`;
}

async function writeWhole(file: FileHandle, chunk: Uint8Array): Promise<void> {
  let written = 0;
  while (written < chunk.byteLength) written += (await file.write(chunk, written)).bytesWritten;
}
