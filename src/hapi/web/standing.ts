// What stands in the folders of the web app, for those who look at it from outside: a greeting, a command, the doctor.
import { existsSync, readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import type { HapiConfig } from "../settings.ts";
import { copiesIn, readNote, readPointer, type SourceNote } from "./copies.ts";
import { NOTE } from "./names.ts";

type Places = Pick<HapiConfig, "dataDir" | "hapiWebDir">;

export interface Standing {
  readonly folder: string;
  /** Undefined for a folder that somebody has named, and where the note is gone. */
  readonly note: SourceNote | undefined;
  /** Of the note's files: how many are there. */
  readonly files: number;
}

/** What is served, whole or not; undefined where nothing is installed or named. */
export function standing({ dataDir, hapiWebDir }: Places): Standing | undefined {
  if (hapiWebDir !== undefined) {
    const folder = resolve(hapiWebDir);
    return { folder, note: undefined, files: countFiles(folder) };
  }
  return installed(dataDir);
}

/** What is installed, whether or not it is served. */
export function installed(dataDir: string): Standing | undefined {
  const copies = copiesIn(dataDir);
  const pointer = readPointer(copies);
  if (pointer === undefined) return undefined;
  const folder = join(copies, pointer.current);
  return { folder, note: readNote(folder), files: countFiles(folder) };
}

/** Whether a browser gets its page. */
export function isAppThere(config: Places): boolean {
  const stands = standing(config);
  return stands !== undefined && existsSync(join(stands.folder, "index.html"));
}

/** More than any app has: a folder that somebody has named by mistake may be a large one. */
const ENOUGH = 10_000;

function countFiles(folder: string): number {
  let count = 0;
  const folders = [folder];
  for (let at = folders.pop(); at !== undefined && count < ENOUGH; at = folders.pop()) {
    if (!existsSync(at)) continue;
    for (const entry of readdirSync(at, { withFileTypes: true })) {
      if (entry.name.startsWith(".") || (at === folder && entry.name === NOTE)) continue;
      if (entry.isDirectory()) folders.push(join(at, entry.name));
      else if (entry.isFile()) count++;
    }
  }
  return count;
}
