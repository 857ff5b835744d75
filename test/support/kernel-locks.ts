// What the Linux kernel knows of a process's locks on a file, as SQLite takes them: by byte ranges, which POSIX drops all together
// when the process closes any descriptor of the file.
import { readFileSync, statSync } from "node:fs";

/** SQLite's shared lock on a database file. */
const SHARED = "READ 1073741826 1073742335";
/** SQLite's lock on the index of the write-ahead log that says "this file is in use". */
const IN_USE = "READ 128 128";

/** Such as `READ 128 128`: kind, first and last byte. */
export function kernelLocks(path: string, pid: number): string[] {
  const { ino } = statSync(path);
  return readFileSync("/proc/locks", "utf8")
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .filter(([, , , , holder, file]) => Number(holder) === pid && file?.split(":").at(-1) === `${ino}`)
    .map(([, , , kind, , , first, last]) => `${kind} ${first} ${last}`)
    .sort();
}

/** Whether the process holds what SQLite believes to hold on an open database in WAL mode. */
export function holdsDatabase(path: string, pid: number): boolean {
  return kernelLocks(path, pid).includes(SHARED) && kernelLocks(`${path}-shm`, pid).includes(IN_USE);
}
