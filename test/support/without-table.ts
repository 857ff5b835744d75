// A real way to make a store operation fail: the table is not there while `work` runs, and is back afterwards.
import { Database as Sqlite } from "bun:sqlite";
import { join } from "node:path";
import type { TestServer } from "./server.ts";

export async function withoutTable(
  server: Pick<TestServer, "url" | "dataDir">,
  table: string,
  work: () => Promise<void>,
): Promise<void> {
  const sqlite = new Sqlite(join(server.dataDir, "happy.db"), { readwrite: true, strict: true });
  try {
    sqlite.run(`ALTER TABLE ${table} RENAME TO ${table}_away`);
    try {
      await work();
    } finally {
      // A refused operation answers before its turn's transaction ends, and this thread cannot wait for itself: one more round trip.
      await fetch(`${server.url}/health`);
      sqlite.run(`ALTER TABLE ${table}_away RENAME TO ${table}`);
    }
  } finally {
    sqlite.close();
  }
}
