// settings.json of a home, which the hub and the CLI of one user share: what neither of them knows survives every write, a reader sees a
// whole file, and one that cannot be read is never written over (data contract, section 8).
import { mkdirSync, readFileSync, rmdirSync, statSync } from "node:fs";
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
 * Reads, changes and writes it while no other program does. `change` answers undefined to leave it as it is.
 * @returns what it says then. @throws Error with a sentence
 */
export async function changeSettingsFile(
  home: string,
  change: (settings: SettingsFile) => SettingsFile | undefined,
): Promise<SettingsFile> {
  const unlock = await lockSettings(home);
  try {
    const settings = readSettingsFile(home);
    const changed = change(settings);
    if (changed === undefined) return settings;
    writeFileDurably(settingsPath(home), JSON.stringify(changed, null, 2), 0o600);
    return changed;
  } finally {
    unlock();
  }
}

/** The lock of the released hub and CLI: a folder that is there while somebody writes. */
const LOCK = "settings.json.hapi.lock";
/** Whoever made it is gone. Also of one that is dated ahead: the clock was set back, and nobody holds it that long. */
const STALE_MS = 30_000;
const AGAIN_MS = 50;
const PATIENCE_MS = 5_000;

/** @returns how to unlock. */
async function lockSettings(home: string): Promise<() => void> {
  const path = join(home, LOCK);
  for (const until = performance.now() + PATIENCE_MS; ; await Bun.sleep(AGAIN_MS)) {
    try {
      mkdirSync(path, { mode: 0o700 });
      return () => removeFolder(path);
    } catch (error) {
      if (codeOf(error) !== "EEXIST") throw error;
    }
    const made = statSync(path, { throwIfNoEntry: false })?.mtimeMs;
    if (made !== undefined && Math.abs(Date.now() - made) > STALE_MS) removeFolder(path);
    else if (performance.now() > until)
      throw new Error(
        `Another program is writing ${settingsPath(home)}: its lock ${path} does not go. Start again when it has ended, or remove the folder.`,
      );
  }
}

function removeFolder(path: string): void {
  try {
    rmdirSync(path);
  } catch (error) {
    if (!isAbsent(error)) throw error;
  }
}
