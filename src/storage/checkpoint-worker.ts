// Runs in a worker thread: one passive checkpoint for each message, which never makes a writer wait.
import { Database } from "bun:sqlite";

export type CheckpointAnswer =
  | { readonly total: number; readonly moved: number }
  | { readonly error: string };

declare const self: Worker;

let open: { path: string; sqlite: Database } | undefined;

self.onmessage = (event: MessageEvent<{ path: string }>) => {
  self.postMessage(checkpoint(event.data.path));
};

function checkpoint(path: string): CheckpointAnswer {
  try {
    if (open?.path !== path) {
      open?.sqlite.close();
      open = { path, sqlite: new Database(path, { readwrite: true }) };
      open.sqlite.run("PRAGMA synchronous = FULL");
    }
    const row = open.sqlite
      .query<{ log: number; checkpointed: number }, []>("PRAGMA wal_checkpoint(PASSIVE)")
      .get();
    return { total: row?.log ?? 0, moved: row?.checkpointed ?? 0 };
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) };
  }
}
