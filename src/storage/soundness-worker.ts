// Runs in a worker thread: reads every page of a database through a connection of its own, and says whether it is sound.
import { Database } from "bun:sqlite";

export type SoundnessAnswer = { readonly problem: string | undefined } | { readonly error: string };

declare const self: Worker;

self.onmessage = (event: MessageEvent<{ path: string }>) => {
  self.postMessage(check(event.data.path));
};

function check(path: string): SoundnessAnswer {
  try {
    using sqlite = new Database(path, { readwrite: true, create: false });
    sqlite.run("PRAGMA busy_timeout = 5000");
    const [row] = sqlite.query<{ quick_check: string }, []>("PRAGMA quick_check(1)").all();
    return { problem: row?.quick_check === "ok" ? undefined : (row?.quick_check ?? "no answer") };
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    const code = error instanceof Error && "code" in error ? String(error.code) : "";
    // Too damaged to be looked through.
    return /^SQLITE_(CORRUPT|NOTADB)/.test(code) ? { problem: text } : { error: text };
  }
}
