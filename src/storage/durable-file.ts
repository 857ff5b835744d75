// A small file is either wholly there, synced to disk, or not there at all: temporary file, fsync, rename, fsync of the folder.
import { closeSync, fsyncSync, openSync, renameSync, writeSync } from "node:fs";
import { dirname } from "node:path";

/** Writes `content` to `path` with `mode`, atomically and durably. */
export function writeFileDurably(path: string, content: string, mode: number): void {
  const temporary = `${path}.${process.pid}.tmp`;
  const file = openSync(temporary, "w", mode);
  try {
    writeSync(file, content);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(temporary, path);
  syncFolder(dirname(path));
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
