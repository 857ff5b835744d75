// Compare-and-swap of a session's two versioned parts: metadata and agent state. New metadata of a process that connected after a
// person's archive ends the archive: the session was resumed.
import { eq } from "drizzle-orm";
import type { Database } from "../../storage/database.ts";
import { nextColumns, staleParts, type Versioned } from "../../storage/versioned.ts";
import { admitChange } from "./account-sizes.ts";
import { takeUpdateSeqs } from "./accounts.ts";
import { sessions } from "./schema.ts";
import { findSession, SESSION_PARTS, type SessionRow } from "./sessions.ts";

export interface SessionChange {
  readonly metadata?: Versioned<string> | undefined;
  readonly agentState?: Versioned<string | null> | undefined;
  /** Place, among all archives and connections, of the session's own socket that the change comes from. */
  readonly joinedSeq?: number | undefined;
}

/** What was stored, or what stands against it. Update numbers are given only to the parts that were written. */
export type SessionChangeResult =
  | {
      readonly kind: "changed";
      readonly metadataSeq: number | undefined;
      readonly agentStateSeq: number | undefined;
      readonly at: number;
    }
  | {
      readonly kind: "mismatch";
      readonly row: SessionRow;
      readonly metadata: boolean;
      readonly agentState: boolean;
    }
  | { readonly kind: "missing" };

/** Writes the given parts when every expected version is the current one; else nothing. */
export function changeSession(
  { writer, quota, sizes }: Database,
  account: string,
  session: string,
  change: SessionChange,
  announce: (result: SessionChangeResult) => void,
): Promise<SessionChangeResult> {
  sizes.admit("metadata", "metadata", change.metadata?.value);
  sizes.admit("state", "agentState", change.agentState?.value);
  return writer.holding(change).run((db): SessionChangeResult => {
    const row = findSession(db, account, session);
    if (row === undefined) return { kind: "missing" };
    const { joinedSeq = -1, ...parts } = change;
    const { metadata, agentState } = parts;
    const stale = staleParts(SESSION_PARTS, parts, row);
    if (stale !== undefined) return { kind: "mismatch", row, ...stale };
    admitChange(db, quota, { account, pk: row.accountPk }, parts, row);
    const at = Date.now();
    db.update(sessions)
      .set({
        ...nextColumns(SESSION_PARTS, parts),
        ...(metadata && joinedSeq > (row.archivedSeq ?? joinedSeq) && { archivedSeq: null }),
        updatedAt: at,
      })
      .where(eq(sessions.pk, row.pk))
      .run();
    return {
      kind: "changed",
      at,
      metadataSeq: metadata && takeUpdateSeqs(db, row.accountPk, at),
      agentStateSeq: agentState && takeUpdateSeqs(db, row.accountPk, at),
    };
  }, announce);
}
