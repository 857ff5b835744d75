// Runs in a worker thread, so that a progress bar can go on: a consistent copy of a database that somebody else may be writing.
// VACUUM INTO reads inside one read transaction, which in WAL mode neither waits for writers nor makes them wait.
import { Database } from "bun:sqlite";
import { type Bounds, type HighWaterQuestion, highWater } from "./high-water.ts";

export interface SnapshotRequest {
  readonly path: string;
  /** An empty file that is there already, so that its mode is its maker's. */
  readonly target: string;
  readonly questions: readonly HighWaterQuestion[];
}
export type SnapshotAnswer =
  | { readonly bounds: Bounds; readonly schemaVersion: number }
  | { readonly error: string; readonly code: string };

/** For another program that keeps even readers out. In this thread it holds nobody up. */
const LOCK_WAIT_MS = 5_000;

declare const self: Worker;

self.onmessage = (event: MessageEvent<SnapshotRequest>) => {
  self.postMessage(snapshot(event.data));
};

function snapshot({ path, target, questions }: SnapshotRequest): SnapshotAnswer {
  try {
    // Read-only would not do: a log that a crashed server left behind could then not be read.
    using sqlite = new Database(path, { readwrite: true, create: false, strict: true });
    sqlite.run(`PRAGMA busy_timeout = ${LOCK_WAIT_MS}`);
    sqlite.run("PRAGMA cache_size = -16384");
    // The copy is read once and deleted: flushing it would only hold up the disk for the server's own commits.
    sqlite.run("PRAGMA synchronous = OFF");
    const before = highWater(sqlite, questions);
    try {
      sqlite.query("VACUUM INTO ?").run(target);
    } finally {
      // Whoever closes a database last moves its log into it and removes the log: without a sync, a power cut would take both.
      sqlite.run("PRAGMA synchronous = FULL");
    }
    const after = highWater(sqlite, questions);
    using copy = new Database(target, { readonly: true });
    const version = copy.query<{ user_version: number }, []>("PRAGMA user_version").get();
    return { bounds: { before, after }, schemaVersion: version?.user_version ?? 0 };
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "";
    return { error: error instanceof Error ? error.message : String(error), code };
  }
}
