// The one walk over the folder of blobs: its files, one at a time, however many there are. What goes away meanwhile is passed over,
// and a symbolic link below the folder is neither a file of ours nor a way into another folder.
import type { Dirent, Stats } from "node:fs";
import { lstat, opendir } from "node:fs/promises";
import { join } from "node:path";
import { whenDescriptorsAreFree } from "./descriptor-wait.ts";
import { isAbsent } from "./errors.ts";

export interface BlobFile {
  readonly path: string;
  /** Names from the folder of blobs down, as they are on disk. */
  readonly parts: readonly string[];
}

/** @throws the system's error for a folder that may not be read. */
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
    for await (const entry of await whenDescriptorsAreFree(() => opendir(folder))) yield entry;
  } catch (error) {
    if (!isAbsent(error)) throw error;
  }
}

/** What the system says of a file of the walk; undefined when it went away, or became something else, since. */
export async function factsOf({ path }: BlobFile): Promise<Stats | undefined> {
  try {
    const facts = await lstat(path);
    return facts.isFile() ? facts : undefined;
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw error;
  }
}

/** Whether a folder is there itself: a link to one is none. @throws the system's error for a place that may not be looked at. */
export async function isFolder(path: string): Promise<boolean> {
  try {
    return (await lstat(path)).isDirectory();
  } catch (error) {
    if (isAbsent(error)) return false;
    throw error;
  }
}

export interface FilesFound {
  readonly files: number;
  readonly bytes: number;
}

/** What is below a folder; ends early, with what it found, when `goOn` says so. */
export async function filesBelow(folder: string, goOn: () => boolean = () => true): Promise<FilesFound> {
  let files = 0;
  let bytes = 0;
  for await (const file of blobFiles(folder)) {
    if (!goOn()) break;
    const facts = await factsOf(file);
    if (facts === undefined) continue;
    files++;
    bytes += facts.size;
  }
  return { files, bytes };
}
