// Compare-and-swap of a session's two versioned parts: metadata and agent state. New metadata of a process that connected after a
// person's archive ends the archive: the session was resumed.
import { eq } from "drizzle-orm";
import type { Database } from "../../storage/database.ts";
import { admitChange } from "./account-sizes.ts";
import { takeUpdateSeqs } from "./accounts.ts";
import { sessions } from "./schema.ts";
import { findSession, type SessionRow } from "./sessions.ts";

export interface Versioned<T> {
  readonly value: T;
  readonly expectedVersion: number;
}

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
    const { metadata, agentState, joinedSeq = -1 } = change;
    const stale = {
      metadata: metadata !== undefined && metadata.expectedVersion !== row.metadataVersion,
      agentState: agentState !== undefined && agentState.expectedVersion !== row.agentStateVersion,
    };
    if (stale.metadata || stale.agentState) return { kind: "mismatch", row, ...stale };
    admitChange(
      db,
      quota,
      { account, pk: row.accountPk },
      [metadata?.value, agentState?.value],
      [metadata && row.metadata, agentState && row.agentState],
    );
    const at = Date.now();
    db.update(sessions)
      .set({
        ...(metadata && { metadata: metadata.value, metadataVersion: row.metadataVersion + 1 }),
        ...(agentState && { agentState: agentState.value, agentStateVersion: row.agentStateVersion + 1 }),
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
