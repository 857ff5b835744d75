// A private folder for work in progress beside the place where its result will be: gone when the work is done, also when the process
// is told to stop. What a killed process left is known by its lock, which the system has given back, and goes at the next look; what
// a living one is working in stays, whatever the clock says.

import { Database } from "bun:sqlite";
import { existsSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { isBusy } from "../storage/errors.ts";

const PREFIX = ".roost-work-";
/** Before it has its lock: nothing is in it. */
const NEW_PREFIX = ".roost-work-new-";
const LOCK = "in-use";
/** Of a folder without a lock: one that is just being made, or that an older Roost has made. */
const UNLOCKED_MS = 24 * 3_600_000;

export interface Scratch extends Disposable {
  readonly path: string;
}

export const isScratch = (name: string): boolean => name.startsWith(PREFIX);
/** What is in such a folder besides the work. */
export const isLock = (name: string): boolean => name.startsWith(LOCK);

/** For the owner's eyes only (mkdtemp makes it 0700). Leftovers of killed processes in `parent` go. */
export function scratchFolder(parent: string): Scratch {
  for (const left of abandonedScratch(parent)) rmSync(left, { recursive: true, force: true });
  let made: ReturnType<typeof lockedFolder> | undefined;
  const remove = () => {
    if (made === undefined) return;
    made.lock.close();
    rmSync(made.path, { recursive: true, force: true });
  };
  const stop = (signal: NodeJS.Signals) => {
    remove();
    process.exit(signal === "SIGINT" ? 130 : 143);
  };
  // Before there is a folder: a signal that comes while it is being made is heard after that.
  process.on("exit", remove);
  process.on("SIGINT", stop);
  process.on("SIGTERM", stop);
  made = lockedFolder(parent);
  const { path } = made;
  return {
    path,
    [Symbol.dispose]: () => {
      process.off("exit", remove);
      process.off("SIGINT", stop);
      process.off("SIGTERM", stop);
      remove();
    },
  };
}

/** Paths of what killed processes left in the folder: nobody uses them any more. */
export function abandonedScratch(parent: string): string[] {
  if (!existsSync(parent)) return [];
  return readdirSync(parent)
    .filter(isScratch)
    .map((name) => join(parent, name))
    .filter((path) => {
      try {
        return isAbandoned(path);
      } catch {
        // Its process has removed it meanwhile, or it is another user's.
        return false;
      }
    });
}

function isAbandoned(path: string): boolean {
  const isLocked = existsSync(join(path, LOCK)) && !basename(path).startsWith(NEW_PREFIX);
  if (!isLocked) return Math.abs(Date.now() - statSync(path).mtimeMs) > UNLOCKED_MS;
  const lock = lockIn(path);
  lock?.close();
  return lock !== undefined;
}

/** Has its lock before it has its name, so that nobody finds it without. Windows renames no folder in which a file is open. */
function lockedFolder(parent: string): { path: string; lock: Database } {
  const made = mkdtempSync(join(parent, process.platform === "win32" ? PREFIX : NEW_PREFIX));
  const lock = lockIn(made);
  if (lock === undefined) throw new Error(`${made} is used by another program.`);
  if (process.platform === "win32") return { path: made, lock };
  const path = made.replace(NEW_PREFIX, PREFIX);
  renameSync(made, path);
  return { path, lock };
}

/** SQLite's lock on a file of its own, which the system gives back however its holder dies; undefined when another holds it. */
function lockIn(folder: string): Database | undefined {
  const lock = new Database(join(folder, LOCK), { create: true });
  try {
    lock.run("PRAGMA busy_timeout = 0");
    // No file of its own beside it: the folder gets another name.
    lock.run("PRAGMA journal_mode = MEMORY");
    lock.run("BEGIN EXCLUSIVE");
    return lock;
  } catch (error) {
    lock.close();
    if (isBusy(error)) return undefined;
    throw error;
  }
}
