// Looks at a Roost database from outside, the way a suspicious person would: is the file sound, and do its counters fit its rows.
import { Database } from "bun:sqlite";
import { copyFileSync, existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface StoredSession {
  readonly id: string;
  readonly seq: number;
  readonly lowest: number | null;
  readonly highest: number | null;
  readonly messages: number;
}

export interface Inspection {
  /** `["ok"]` for a sound file. */
  readonly integrity: readonly string[];
  readonly brokenReferences: number;
  readonly doubledLocalIds: number;
  readonly sessions: readonly StoredSession[];
}

/** Reads copies, so that looking neither recovers nor checkpoints what the next start of the server has to. */
export function inspectCopy(dataDir: string): Inspection {
  const folder = mkdtempSync(join(tmpdir(), "roost-inspect-"));
  try {
    for (const name of ["happy.db", "happy.db-wal"])
      if (existsSync(join(dataDir, name))) copyFileSync(join(dataDir, name), join(folder, name));
    return inspect(join(folder, "happy.db"));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

export function inspect(path: string): Inspection {
  using sqlite = new Database(path, { readwrite: true });
  return {
    integrity: sqlite
      .query<{ integrity_check: string }, []>("PRAGMA integrity_check")
      .all()
      .map((row) => row.integrity_check),
    brokenReferences: sqlite.query("PRAGMA foreign_key_check").all().length,
    doubledLocalIds: sqlite
      .query(
        "SELECT 1 FROM messages WHERE local_id IS NOT NULL GROUP BY session_pk, local_id HAVING count(*) > 1",
      )
      .all().length,
    sessions: sqlite
      .query<StoredSession, []>(
        `SELECT sessions.id, sessions.seq, min(messages.seq) AS lowest, max(messages.seq) AS highest,
                count(messages.pk) AS messages
         FROM sessions LEFT JOIN messages ON messages.session_pk = sessions.pk GROUP BY sessions.pk`,
      )
      .all(),
  };
}
