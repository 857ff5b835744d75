// The pages of the program file that a start or a burst touched stay mapped to this process although nobody needs them again: half of what an
// idle server holds. They are the file's, unchanged, and come back by themselves when they are needed; a page that stays in the system's
// cache costs less than a microsecond then. Linux only.
import { FFIType } from "bun:ffi";
import { readFileSync } from "node:fs";
import { openCLibrary } from "../server/c-library.ts";

const MADV_DONTNEED = 4;
const SYMBOLS = {
  madvise: { args: [FFIType.u64, FFIType.u64, FFIType.i32], returns: FFIType.i32 },
} as const;

let opened: ReturnType<typeof openCLibrary<typeof SYMBOLS>> | null = null;

/** Gives back the pages of the program's instructions, which nothing ever changes. @returns bytes of address space that were looked at. */
export function forgetProgramPages(): number {
  if (process.platform !== "linux") return 0;
  opened ??= openCLibrary(SYMBOLS);
  if (opened === undefined) return 0;
  let bytes = 0;
  for (const { from, to } of instructionsOf(process.execPath))
    if (opened.madvise(from, to - from, MADV_DONTNEED) === 0) bytes += Number(to - from);
  return bytes;
}

/** Where a file is mapped to be executed and cannot be written. */
function instructionsOf(path: string): { from: bigint; to: bigint }[] {
  return readFileSync("/proc/self/maps", "latin1")
    .split("\n")
    .flatMap((line) => {
      const [, from, to, file] = /^([\da-f]+)-([\da-f]+) r-xp \S+ \S+ \d+ +(.*)$/.exec(line) ?? [];
      return from === undefined || to === undefined || file !== path
        ? []
        : [{ from: BigInt(`0x${from}`), to: BigInt(`0x${to}`) }];
    });
}
