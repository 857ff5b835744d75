// settings.json of a home, which the hub and the CLI of one user share: what neither of them knows survives every write, a reader sees a
// whole file, and one that cannot be read is never written over (data contract, section 8).
import { mkdirSync, readFileSync, renameSync, rmdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { writeFileDurably } from "../../storage/durable-file.ts";
import { codeOf, isAbsent } from "../../storage/errors.ts";

/** Keys and values as the file has them. */
export type SettingsFile = Readonly<Record<string, unknown>>;

export const settingsPath = (home: string): string => join(home, "settings.json");

/** Empty where there is none. @throws Error with a sentence when it is no JSON object. */
export function readSettingsFile(home: string): SettingsFile {
  const path = settingsPath(home);
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if (isAbsent(error)) return {};
    throw new Error(`The file ${path} cannot be read: ${codeOf(error) || "it is no file"}.`);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // What the parser says may quote a secret.
    value = undefined;
  }
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new Error(`The file ${path} is not a JSON object. Repair it, or move it away; it was not changed.`);
  return value as SettingsFile;
}

/**
 * Reads, changes and writes it while no other program does. `change` answers undefined to leave it as it is, and is asked again when the
 * lock was taken away meanwhile: by a program that found the one before it stale at the same moment, or after a clock was set.
 * @returns what it says then. @throws Error with a sentence
 */
export async function changeSettingsFile(
  home: string,
  change: (settings: SettingsFile) => SettingsFile | undefined,
): Promise<SettingsFile> {
  const until = performance.now() + PATIENCE_MS;
  for (;;) {
    const lock = await lockSettings(home, until);
    try {
      const settings = readSettingsFile(home);
      const changed = change(settings);
      if (changed === undefined) return settings;
      const text = JSON.stringify(changed, null, 2);
      if (writeFileDurably(settingsPath(home), text, 0o600, () => isStill(lock))) return changed;
      if (performance.now() > until) throw beingWritten(home);
    } finally {
      takeAway(lock);
    }
  }
}

/** The lock of the released hub and CLI: a folder that is there while somebody writes. */
const LOCK = "settings.json.hapi.lock";
/** Whoever made it is gone. Also of one that is dated ahead: the clock was set back, and nobody holds it that long. */
const STALE_MS = 30_000;
const AGAIN_MS = 50;
const PATIENCE_MS = 5_000;

/** A folder as it was found: another one under its name is another lock. */
export interface FoundLock {
  readonly path: string;
  readonly identity: string;
  readonly madeAt: number;
}

async function lockSettings(home: string, until: number): Promise<FoundLock> {
  const path = join(home, LOCK);
  for (; ; await Bun.sleep(AGAIN_MS)) {
    try {
      mkdirSync(path, { mode: 0o700 });
      const own = findLock(path);
      if (own !== undefined) return own;
    } catch (error) {
      if (codeOf(error) !== "EEXIST") throw error;
    }
    const found = findLock(path);
    if (found !== undefined && Math.abs(Date.now() - found.madeAt) > STALE_MS) takeAway(found);
    else if (performance.now() > until) throw beingWritten(home);
  }
}

const beingWritten = (home: string) =>
  new Error(
    `Another program is writing ${settingsPath(home)}: its lock ${join(home, LOCK)} does not go. Start again when it has ended, or remove the folder.`,
  );

export function findLock(path: string): FoundLock | undefined {
  const found = statSync(path, { bigint: true, throwIfNoEntry: false });
  if (found === undefined) return undefined;
  // Numbers of folders that went are given again at once.
  const { ino, mtimeNs, mtimeMs } = found;
  return { path, identity: `${ino} ${mtimeNs}`, madeAt: Number(mtimeMs) };
}

const isStill = ({ path, identity }: FoundLock): boolean => findLock(path)?.identity === identity;

/**
 * Removes this lock and no other: since it was found, another program may have taken it away and made its own. It is moved aside first,
 * because what lies aside cannot become another one, and put back when it is.
 */
export function takeAway(found: FoundLock): void {
  if (!isStill(found)) return;
  const aside = `${found.path}.${process.pid}-${crypto.randomUUID().slice(0, 8)}`;
  try {
    renameSync(found.path, aside);
  } catch (error) {
    if (isAbsent(error)) return;
    throw error;
  }
  if (findLock(aside)?.identity !== found.identity) {
    putBack(aside, found.path);
    return;
  }
  try {
    rmdirSync(aside);
  } catch (error) {
    putBack(aside, found.path);
    throw error;
  }
}

/** Onto one that was made meanwhile: whoever made that looks again before it writes. */
function putBack(aside: string, path: string): void {
  try {
    renameSync(aside, path);
  } catch (error) {
    // Where a folder does not go onto another one: its maker looks again too.
    if (!["EEXIST", "ENOTEMPTY", "EPERM", "EACCES"].includes(codeOf(error))) throw error;
    rmdirSync(aside);
  }
}
