// A small file is either wholly there, synced to disk, or not there at all: temporary file, fsync, rename, fsync of the folder.
import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import { open } from "node:fs/promises";
import { dirname } from "node:path";
import { whenDescriptorsAreFree } from "./descriptor-wait.ts";

/**
 * Writes `content` to `path` with `mode`, atomically and durably.
 * @param may asked when all that is left is the name; without it nothing is changed. @returns what it said
 */
export function writeFileDurably(
  path: string,
  content: string,
  mode: number,
  may: () => boolean = () => true,
): boolean {
  const temporary = `${path}.${process.pid}.tmp`;
  const file = openSync(temporary, "w", mode);
  try {
    writeSync(file, content);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  if (!may()) {
    rmSync(temporary, { force: true });
    return false;
  }
  renameSync(temporary, path);
  syncFolder(dirname(path));
  return true;
}

/** Makes a rename inside `folder` survive a power cut. Windows cannot sync folders and does not need to. */
export function syncFolder(folder: string): void {
  if (process.platform === "win32") return;
  const handle = openSync(folder, "r");
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

/** The same beside the event loop, of several, the innermost first. */
export async function syncFolders(folders: readonly string[]): Promise<void> {
  if (process.platform === "win32") return;
  for (const folder of folders) {
    const handle = await whenDescriptorsAreFree(() => open(folder, "r"));
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  }
}
