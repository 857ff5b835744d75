// What the person who runs a server does in a test: commands as processes of their own, and a look into the database.
import { Database as Sqlite } from "bun:sqlite";
import { join } from "node:path";
import { type Finished, runRoost } from "./process.ts";
import type { TestServer } from "./server.ts";

/** `roost <words>` on the server's data folder, as a process of its own. */
export function roost(server: Pick<TestServer, "dataDir">, ...words: string[]): Promise<Finished> {
  return runRoost([...words, "--data-dir", server.dataDir]);
}

const FINGERPRINT = /[0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{4}/;
export const fingerprintIn = (text: string) => FINGERPRINT.exec(text)?.[0] ?? "";

/** Runs one statement. @returns its rows. */
export function rows<T>(
  server: Pick<TestServer, "dataDir">,
  text: string,
  ...values: (string | number)[]
): T[] {
  const sqlite = new Sqlite(join(server.dataDir, "happy.db"), { readwrite: true });
  try {
    sqlite.run("PRAGMA busy_timeout = 5000");
    return sqlite.query<T, (string | number)[]>(text).all(...values);
  } finally {
    sqlite.close();
  }
}
