// How many file descriptors the process has open, and how many it may have. Linux only; elsewhere there is no answer.
import { readdirSync, readFileSync, statSync } from "node:fs";

const FOLDER = "/proc/self/fd";
/** Null where there is none. */
let limit: number | null | undefined;

/**
 * Undefined where the system does not tell, or sets none. Bun raises it to what is permitted when it starts: it does not change. To be
 * asked before descriptors can run out, because reading it needs one; an answer that could not be read is asked for again.
 */
export function descriptorLimit(): number | undefined {
  if (limit === undefined) limit = readLimit();
  return limit ?? undefined;
}

/** Cheap, and needs no descriptor itself where the kernel is of 6.2 or later. */
export function openDescriptors(): number | undefined {
  if (process.platform !== "linux") return undefined;
  try {
    return statSync(FOLDER).size || readdirSync(FOLDER).length;
  } catch (error) {
    // None is left to look with.
    return (error as NodeJS.ErrnoException).code === "EMFILE" ? descriptorLimit() : undefined;
  }
}

/** Undefined when it cannot be read now. */
function readLimit(): number | null | undefined {
  if (process.platform !== "linux") return null;
  try {
    const soft = /^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1];
    return soft === undefined ? null : Number(soft);
  } catch {
    return undefined;
  }
}
