// What the store of the HAPI protocol keeps besides sessions, messages and machines: notes, usage, the work graph, and counts for the owner.
import type { Json } from "./rows.ts";

// ---------------------------------------------------------------- notes, usage, work graph

export interface ScratchEntry {
  readonly entryId: string;
  readonly text: string;
  readonly createdAt: number;
  readonly updatedAt: number;
  /** Descriptions of files; [] for none. */
  readonly attachments: readonly Json[];
}

export type AddedScratch =
  | { readonly entry: ScratchEntry; readonly isNew: boolean }
  | { readonly entry: "full" };

export interface UsageEvent {
  readonly sourceKey: string;
  readonly sourceSeq: number;
  readonly createdAt: number;
  readonly agent: string;
  readonly model: string | null;
  readonly kind: "delta" | "cumulative";
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly cacheReadTokens: number;
  readonly cacheCreationTokens: number;
  readonly lastInputTokens: number | null;
  readonly lastOutputTokens: number | null;
  readonly lastCacheReadTokens: number | null;
  readonly lastCacheCreationTokens: number | null;
}

/** Whose messages are looked at. */
export interface UsageSession {
  readonly id: string;
  readonly metadata: Json;
  readonly model: string | null;
}

/** What a range of time used; a cumulative event counts what it has more than the one before it in its session. */
export interface UsageSum {
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly cacheReadTokens: number;
  readonly cacheCreationTokens: number;
  readonly requests: number;
}

/** `key` is the day as `dayOf` names it, the agent, or the model (the agent where it has none). Newest or largest first. */
export interface UsageSummary {
  readonly totals: UsageSum & { readonly sessions: number };
  readonly daily: readonly (UsageSum & { readonly key: string })[];
  readonly byAgent: readonly (UsageSum & { readonly key: string })[];
  readonly byModel: readonly (UsageSum & { readonly key: string })[];
}

export interface WorkEvent {
  readonly id: string;
  readonly namespace: string;
  readonly ts: number;
  readonly sourceKind: string;
  readonly sourceRef: string;
  readonly sinkKind: string | null;
  readonly sinkRef: string | null;
  readonly eventType: string;
  readonly summary: string | null;
  readonly payload: Json;
  readonly artifactRefs: readonly Json[];
  readonly tags: readonly Json[];
  readonly relatedSessionId: string | null;
  readonly relatedEventId: string | null;
  readonly provenance: string | null;
  readonly idempotencyKey: string | null;
  readonly dedupeKey: string | null;
  readonly confidence: number | null;
  readonly severity: string | null;
  readonly expiresAt: number | null;
  readonly principal: Json;
}

export interface WorkLink {
  readonly id: string;
  readonly namespace: string;
  readonly fromEventId: string;
  readonly toEventId: string;
  readonly relationType: string;
  readonly createdAt: number;
  readonly metadata: Json;
}

// ---------------------------------------------------------------- for the owner

export interface NamespaceRow {
  readonly namespace: string;
  readonly sessions: number;
  readonly machines: number;
  readonly messages: number;
  /** Contents of messages and the values of sessions and machines, with a floor for each row. */
  readonly bytes: number;
  readonly pushSubscriptions: number;
  readonly devices: number;
  readonly bindings: number;
  readonly createdAt: number;
  readonly lastSeenAt: number;
}

/** Before a time each is old; undefined keeps all of it. */
export interface OldCutoffs {
  readonly sessions: number | undefined;
  readonly messages: number | undefined;
  readonly usage: number | undefined;
  /** Work events that say themselves how long they hold. */
  readonly expired: number | undefined;
}

export interface OldRows {
  readonly kind: "sessions" | "messages" | "usage events" | "expired work events";
  readonly namespace: string;
  readonly count: number;
  readonly bytes: number;
}
