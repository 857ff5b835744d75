// The files below the folder of blobs, one at a time, however many there are. What goes away meanwhile is passed over.
import type { Dirent } from "node:fs";
import { opendir } from "node:fs/promises";
import { join } from "node:path";

export interface BlobFile {
  readonly path: string;
  /** Names from the folder of blobs down, as they are on disk. */
  readonly parts: readonly string[];
}

export async function* blobFiles(folder: string, parts: readonly string[] = []): AsyncGenerator<BlobFile> {
  for await (const entry of entriesOf(join(folder, ...parts))) {
    const below = [...parts, entry.name];
    if (entry.isDirectory()) yield* blobFiles(folder, below);
    else if (entry.isFile()) yield { path: join(folder, ...below), parts: below };
  }
}

/** Entries of a folder; none when it is not there (any more). */
export async function* entriesOf(folder: string): AsyncGenerator<Dirent> {
  try {
    for await (const entry of await opendir(folder)) yield entry;
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) throw error;
  }
}
