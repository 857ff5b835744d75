// What the store of the HAPI protocol takes and gives: rows of hapi.db (hapi-data 4) decoded, what changes them, and what comes of it.
// The operations are in contract.ts. Times are integer Unix milliseconds.
import type { Rows } from "../../storage/weighed-list.ts";

export type Announce<T> = (result: T) => void;

/** There is no such row, or it is another namespace's. */
export type Denied = "not-found" | "access-denied";
/** @example if (typeof found === "string") return refuse(found); */
export type Access<T extends object> = T | Denied;

/** A parsed JSON value as it was stored, unknown keys and all; null for SQL NULL and for text that is no JSON. Shared: never change it. */
export type Json = unknown;

/** JSON that may be large: its text as it is stored, parsed only when somebody asks for `value`. `toJSON` gives `value`. */
export interface StoredJson {
  /** One line of valid JSON; `null` where the stored content is unreadable. */
  readonly text: string;
  readonly value: Json;
  toJSON(): Json;
}

// ---------------------------------------------------------------- sessions

/** Who is asked for: the id, and the namespace that asks. */
export interface SessionKey {
  readonly namespace: string;
  readonly id: string;
}

export interface SessionRow {
  readonly id: string;
  readonly namespace: string;
  readonly tag: string | null;
  readonly seq: number;
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly metadata: Json;
  readonly metadataVersion: number;
  readonly agentState: Json;
  readonly agentStateVersion: number;
  readonly todos: Json;
  /** 0 when there were none yet. */
  readonly todosUpdatedAt: number;
  readonly teamState: Json;
  readonly teamStateUpdatedAt: number;
  readonly model: string | null;
  readonly modelReasoningEffort: string | null;
  readonly effort: string | null;
  readonly serviceTier: string | null;
  readonly pinned: boolean;
  readonly globalPinned: boolean;
  /** A message with visible content was stored. */
  readonly hasConversationContent: boolean;
  /** As of its last transition; undefined when neither this server nor another hub stored one. */
  readonly presence: SessionPresence | undefined;
}

export interface SessionListRow extends SessionRow {
  readonly futureScheduledMessageCount: number;
  readonly nextScheduledAt: number | null;
}

export interface OpenSession {
  readonly namespace: string;
  readonly tag: string;
  /** Chosen by the CLI; without it one is made. */
  readonly id?: string | undefined;
  readonly metadata: Json;
  readonly agentState?: Json;
  readonly model?: string | undefined;
  readonly modelReasoningEffort?: string | undefined;
  readonly effort?: string | undefined;
  /** Registered first, in the same operation. */
  readonly machine?: Omit<RegisterMachine, "namespace"> | undefined;
}

export type OpenedSession =
  | {
      readonly kind: "created" | "found";
      readonly row: SessionRow;
      readonly machine: RegisteredMachine | undefined;
    }
  /** 409 "Session tag is already bound to a different id"; 409 "Session id is already bound to a different session"; 403. */
  | { readonly kind: "tag-bound" | "id-bound" | "machine-denied" };

/** A new value, and the version that it was made from. */
export interface ValueChange {
  readonly key: SessionKey;
  readonly expectedVersion: number;
  /** Null is stored as SQL NULL. */
  readonly value: Json;
  /** What is stored in place of `value` (hapi-socket 18.3), given both. Pure. */
  readonly merge?: ((stored: Json, given: Json) => Json) | undefined;
}

export type ChangedValue<Row> =
  | { readonly kind: "success"; readonly version: number; readonly value: Json; readonly row: Row }
  | { readonly kind: "version-mismatch"; readonly version: number; readonly value: Json };

/** Read, change, write of the whole stored object, in one operation. */
export interface MetadataEdit {
  readonly key: SessionKey;
  /** Gets the stored value (do not change it in place); undefined leaves all as it is. Pure. */
  readonly edit: (stored: Json) => Json | undefined;
  /** Refused as `conflict` when the stored version is another one. */
  readonly expectedVersion?: number | undefined;
  /** Whether `updatedAt` moves; renaming does not. */
  readonly touches?: boolean | undefined;
}

export type EditedMetadata<Row> = { readonly kind: "changed" | "unchanged" | "conflict"; readonly row: Row };

/** Only what is given is changed. */
export interface SessionColumns {
  readonly model?: string | null | undefined;
  readonly modelReasoningEffort?: string | null | undefined;
  readonly effort?: string | null | undefined;
  readonly serviceTier?: string | null | undefined;
  readonly pinned?: boolean | undefined;
  readonly globalPinned?: boolean | undefined;
  /** Stored only when `at` is later than what is stored; moves `updatedAt` to `at`. */
  readonly todos?: { readonly value: Json; readonly at: number } | undefined;
  readonly teamState?: { readonly value: Json; readonly at: number } | undefined;
}

export interface MergeSessions {
  readonly namespace: string;
  /** Is deleted. */
  readonly from: string;
  readonly into: string;
  /** Looked at first, with the metadata of both as it is then; false leaves both as they are. */
  readonly isWanted?: ((from: Json, into: Json) => boolean) | undefined;
  /** The new one's metadata, from both (name, summary, worktree, path, host carry over). Version + 1 when it differs. Pure. */
  readonly metadata: (from: Json, into: Json) => Json;
  /** The same of the agent state; without it that of `into` stays. */
  readonly agentState?: ((from: Json, into: Json) => Json) | undefined;
}

/** Messages that moved keep their seqs; those that were in `into` moved up behind them. */
export interface MergedSessions {
  readonly row: SessionRow;
  readonly movedMessages: number;
  readonly movedNotes: number;
  /** Of what moved, what a CLI that connects is told again: the oldest of it. */
  readonly waiting: readonly MessageRow[];
  readonly epoch: number;
}

/** For rows that another hub wrote. */
export interface Backfill {
  /** The todo list that a content carries. Pure. */
  readonly todosIn: (content: Json) => Json | undefined;
  /** Of each session that has one since, after the commit. */
  readonly told: (row: SessionRow) => void;
}

/** Of a session, what says with which session of its agent it goes on. */
export interface AgentSessionRow {
  readonly id: string;
  /** Only the keys that were asked for; null is what it does not have. */
  readonly metadata: Json;
  /** This server heard a CLI of it once. */
  readonly wasHeard: boolean;
}

// ---------------------------------------------------------------- messages

export type DeliveryState = "queued" | "dispatching" | "indeterminate";

export interface MessageReceipt {
  readonly id: string;
  readonly sessionId: string;
  readonly seq: number;
  readonly localId: string | null;
  readonly createdAt: number;
  /** When the agent took it; null while it waits. */
  readonly invokedAt: number | null;
  readonly scheduledAt: number | null;
  readonly deliveryState: DeliveryState;
}

export interface MessageRow extends MessageReceipt {
  readonly content: StoredJson;
}

export interface NewMessage {
  readonly session: SessionKey;
  readonly content: Json;
  /** Unique in the session: a repeat stores nothing and gives the first row. With one the message waits (`invokedAt` null). */
  readonly localId: string | null;
  /** A repeat of one that still waits takes this content, in its old place. */
  readonly rewords?: boolean | undefined;
  /** Of a history: it does not wait, whatever its localId. */
  readonly isTaken?: boolean | undefined;
  /** Claimed by the CLI, never stored later than now; one that is older than the newest message raises the epoch. */
  readonly createdAt?: number | undefined;
  readonly scheduledAt?: number | null | undefined;
  /**
   * Of codex `reasoning` with an id: takes the place of the live row of that id among the last 50, with a new seq. While `isLive` the
   * next one takes its place.
   */
  readonly reasoning?: { readonly id: string; readonly isLive: boolean } | undefined;
  /** A todo list that the content carries, stored in the session when the message is newer than what is there. */
  readonly todos?: Json;
  /** What it does to the session's team, at its time: given the stored one, the next; undefined leaves it. Pure. */
  readonly team?: ((stored: Json, at: number) => Json) | undefined;
  /** Whether `updatedAt` of the session moves forward to the message's time: user messages do that. */
  readonly touches?: boolean | undefined;
}

export interface AppendedMessage {
  /** `known`: a row with this localId was there, and none was added; it is announced again all the same. */
  readonly kind: "stored" | "known";
  readonly message: MessageRow;
  /** Id of the live row that it took the place of. */
  readonly replaced: string | undefined;
  /** Set when the session's todos changed. */
  readonly todos: { readonly value: Json; readonly at: number } | undefined;
  /** Set when the session's team changed. */
  readonly team: { readonly value: Json; readonly at: number } | undefined;
  /** Set when the session's `updatedAt` moved. */
  readonly updatedAt: number | undefined;
  /** The session has visible content since this message: its full object is announced. */
  readonly isFirstContent: boolean;
  /** The session with this message; only set with `isFirstContent`. */
  readonly session: SessionRow | undefined;
}

/** A position: (`invokedAt` or else `createdAt`, then `seq`). */
export interface Position {
  readonly at: number;
  readonly seq: number;
}

export type PageQuery =
  | { readonly direction: "latest"; readonly limit: number }
  | { readonly direction: "before"; readonly limit: number; readonly before: Position }
  | {
      readonly direction: "after";
      readonly limit: number;
      readonly after: Position;
      readonly until?: Position | undefined;
      readonly epoch?: number | undefined;
    };

/** hapi-http-sse C3; `page` is the body's page, key by key. */
export interface MessagePage {
  readonly messages: Rows<MessageRow>;
  readonly page: {
    readonly direction: PageQuery["direction"];
    readonly limit: number;
    readonly epoch: number;
    readonly reset: boolean;
    readonly nextBeforeSeq: number | null;
    readonly nextBeforeAt: number | null;
    readonly nextAfterSeq: number | null;
    readonly nextAfterAt: number | null;
    readonly snapshotHeadSeq: number | null;
    readonly snapshotHeadAt: number | null;
    readonly hasMore: boolean;
  };
}

export interface LocalIds {
  readonly session: SessionKey;
  readonly localIds: readonly string[];
}

export interface QueuedState {
  readonly queuedLocalIds: readonly string[];
  readonly indeterminateLocalIds: readonly string[];
  readonly invokedLocalMessages: readonly { readonly localId: string; readonly invokedAt: number }[];
}

export interface ConsumedMessages {
  readonly invokedAt: number;
  /** Those that waited until now. */
  readonly changed: readonly MessageReceipt[];
  readonly updatedAt: number | undefined;
}

export type CancelledMessage =
  | {
      readonly status: "cancelled";
      readonly message: MessageReceipt | undefined;
      /** Set when nothing is left in the session that a person would see. */
      readonly session?: SessionRow | undefined;
    }
  | { readonly status: "invoked"; readonly message: MessageRow };

export type RequeuedMessage =
  | { readonly status: "requeued" | "already-queued" | "invoked"; readonly message: MessageRow }
  | { readonly status: "unknown" };

/** A message that waits for its CLI, with whose it is. */
export interface WaitingMessage {
  readonly namespace: string;
  readonly message: MessageRow;
}

export interface EndSession {
  readonly key: SessionKey;
  readonly at: number;
  /** Queued messages that are not scheduled count as invoked from now on. */
  readonly sweeps: boolean;
  readonly presence: SessionPresence;
}

export interface EndedSession {
  readonly row: SessionRow;
  readonly sweptLocalIds: readonly string[];
  /** Of what was swept. */
  readonly invokedAt: number;
  readonly updatedAt: number | undefined;
}

// ---------------------------------------------------------------- presence

export interface SessionPresence {
  readonly active: boolean;
  readonly activeAt: number;
  readonly thinking: boolean;
  readonly thinkingAt: number;
  readonly activeTurnStartedAt: number | null;
  readonly backgroundTaskCount: number;
  readonly permissionMode: string | null;
  readonly collaborationMode: string | null;
  readonly copilotAgentMode: string | null;
}

export interface MachinePresence {
  readonly active: boolean;
  readonly activeAt: number;
}

/** Transitions, many at once; rows that are gone are left out. */
export interface PresenceChanges {
  readonly sessions?: readonly { readonly id: string; readonly presence: SessionPresence }[];
  readonly machines?: readonly { readonly id: string; readonly presence: MachinePresence }[];
}

export interface StoredPresence {
  readonly sessions: readonly {
    readonly id: string;
    readonly namespace: string;
    readonly presence: SessionPresence;
  }[];
  readonly machines: readonly {
    readonly id: string;
    readonly namespace: string;
    readonly presence: MachinePresence;
  }[];
}

// ---------------------------------------------------------------- machines

export interface MachineRow {
  readonly id: string;
  readonly namespace: string;
  readonly seq: number;
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly metadata: Json;
  readonly metadataVersion: number;
  readonly runnerState: Json;
  readonly runnerStateVersion: number;
  /** As of its last transition; what a released hub wrote into the row when this server never stored one. */
  readonly presence: MachinePresence;
}

export interface RegisterMachine {
  readonly namespace: string;
  readonly id: string;
  readonly metadata: Json;
  readonly runnerState?: Json;
}

/** A known id: the keys of an object `metadata` are laid over the stored ones, runnerState stays (hapi-http-sse A10). */
export interface RegisteredMachine {
  readonly kind: "created" | "changed" | "unchanged";
  readonly row: MachineRow;
}

// ---------------------------------------------------------------- who is told

export interface Binding {
  readonly platform: string;
  readonly platformUserId: string;
  readonly namespace: string;
  readonly createdAt: number;
}

export interface PushSubscriptionRow {
  readonly id: number;
  readonly namespace: string;
  readonly endpoint: string;
  readonly p256dh: string;
  readonly auth: string;
  readonly createdAt: number;
}

/** What tells one registration of an endpoint from a later one. */
export type PushedTo = Pick<PushSubscriptionRow, "id" | "endpoint" | "p256dh" | "auth" | "createdAt">;

/** One decision about a notification. */
export interface RecordedPush extends KeptPush {
  readonly namespace: string;
  readonly sessionId: string;
  readonly channel: string;
  readonly kind: string;
  /** Tells the same event again. */
  readonly eventKey: string;
  readonly durationMs: number;
}

export interface KeptPush {
  readonly outcome: string;
  readonly reason: string | null;
  readonly devices: number;
  readonly delivered: number;
}

export interface DeviceRow {
  readonly id: number;
  readonly namespace: string;
  readonly token: string;
  readonly platform: string;
  readonly deviceId: string;
  readonly pushKey: string | null;
  readonly createdAt: number;
  readonly updatedAt: number;
}
