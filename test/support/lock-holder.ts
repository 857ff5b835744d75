// Another program that holds SQLite's write lock on a database, as a backup script or a person with a shell does.
import { untilTheRunEnds } from "./process.ts";

export interface LockHolder {
  /** Lets go, and ends. */
  release(): Promise<void>;
}

const SCRIPT = `
const { Database } = require("bun:sqlite");
const sqlite = new Database(process.argv[1], { readwrite: true });
sqlite.run("PRAGMA busy_timeout = 10000");
sqlite.run(process.argv[2]);
console.log("held");
process.stdin.once("end", () => { sqlite.run("ROLLBACK"); sqlite.close(true); process.exit(0); });
process.stdin.resume();
`;

/** Resolves when it has the lock. */
export async function holdLock(path: string, begin = "BEGIN IMMEDIATE"): Promise<LockHolder> {
  const child = Bun.spawn([process.execPath, "-e", SCRIPT, path, begin], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
  });
  untilTheRunEnds(child);
  const reader = child.stdout.getReader();
  const { value } = await reader.read();
  if (value === undefined) throw new Error("the lock could not be taken");
  return {
    release: async () => {
      await child.stdin.end();
      await child.exited;
    },
  };
}
