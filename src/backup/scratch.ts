// A private folder for work in progress beside the place where its result will be: gone when the work is done, also when the
// process is told to stop. What a killed process left is swept by the next one.
import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";

const PREFIX = ".roost-work-";
const LEFTOVER_MS = 24 * 3_600_000;

export interface Scratch extends Disposable {
  readonly path: string;
}

export const isScratch = (name: string): boolean => name.startsWith(PREFIX);

/** For the owner's eyes only (mkdtemp makes it 0700). Leftovers in `parent` of at least this age go. */
export function scratchFolder(parent: string, leftoverMs: number = LEFTOVER_MS): Scratch {
  sweep(parent, leftoverMs);
  const path = mkdtempSync(join(parent, PREFIX));
  const remove = () => rmSync(path, { recursive: true, force: true });
  const stop = (signal: NodeJS.Signals) => {
    remove();
    process.exit(signal === "SIGINT" ? 130 : 143);
  };
  process.on("exit", remove);
  process.on("SIGINT", stop);
  process.on("SIGTERM", stop);
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

function sweep(parent: string, leftoverMs: number): void {
  for (const name of readdirSync(parent)) {
    const path = join(parent, name);
    if (isScratch(name) && Date.now() - statSync(path).mtimeMs >= leftoverMs)
      rmSync(path, { recursive: true, force: true });
  }
}
