// What the HAPI protocol asks of its database; rows and values are in rows.ts. Every operation is atomic, has a name from the domain and
// answers with a promise. No statement and no handle leaves this folder.
//
// How each behaves: its body runs within the turn's transaction; a read shows what is committed. `announce` gets the result of every
// call that did not reject, a refusal too, synchronously after the commit and in commit order, before any caller is told. So an
// acknowledgement that must come before a broadcast is sent first within `announce`. Calls of one `sender` (a socket) do not overtake
// each other when one is refused. Nothing throws: what is wrong rejects, with a StorageError (the disk; "quota" with a sentence for the
// person) or ValueTooLarge, and then nothing was stored.

import type { Rows } from "../../storage/weighed-list.ts";
import type {
  AddedScratch,
  NamespaceRow,
  OldCutoffs,
  OldRows,
  ScratchEntry,
  UsageEvent,
  UsageSession,
  UsageSummary,
  WorkEvent,
  WorkLink,
} from "./records.ts";
import type {
  Access,
  AgentSessionRow,
  Announce,
  AppendedMessage,
  Backfill,
  Binding,
  CancelledMessage,
  ChangedValue,
  ConsumedMessages,
  DeliveryState,
  DeviceRow,
  EditedMetadata,
  EndedSession,
  EndSession,
  KeptPush,
  LocalIds,
  MachineRow,
  MergedSessions,
  MergeSessions,
  MessagePage,
  MessageRow,
  MetadataEdit,
  NewMessage,
  OpenedSession,
  OpenSession,
  PageQuery,
  PresenceChanges,
  PushedTo,
  PushSubscriptionRow,
  QueuedState,
  RecordedPush,
  RegisteredMachine,
  RegisterMachine,
  RequeuedMessage,
  SessionColumns,
  SessionKey,
  SessionListRow,
  SessionRow,
  StoredPresence,
  ValueChange,
  WaitingMessage,
} from "./rows.ts";

export interface HapiStore {
  // Sessions.

  /**
   * Finds by id when one is given, else the newest of the tag, which is then given back as it is stored; else makes one. All four values
   * of a new one have version 1, `seq` is 0.
   */
  openSession(session: OpenSession, announce?: Announce<OpenedSession>): Promise<OpenedSession>;
  findSession(key: SessionKey): Promise<Access<SessionRow>>;
  /** Whether it is there and the namespace's, without reading it. */
  lookForSession(key: SessionKey): Promise<Access<{ readonly isThere: true }>>;
  /** Whoever's it is: for what the server does by itself. */
  findAnySession(id: string): Promise<SessionRow | undefined>;
  /** The only one of the namespace whose id begins so; undefined when there is none or several. */
  findSessionByPrefix(namespace: string, prefix: string): Promise<SessionRow | undefined>;
  /** All of a namespace, newest `updatedAt` first; `limit` cuts that order. Touches no message row. */
  listSessions(namespace: string, options?: { readonly limit?: number }): Promise<readonly SessionListRow[]>;
  /** Compare-and-swap (hapi-socket 9): value, version + 1, `seq` + 1, `updatedAt` now. */
  changeMetadata(
    change: ValueChange,
    announce?: Announce<Access<ChangedValue<SessionRow>>>,
    sender?: object,
  ): Promise<Access<ChangedValue<SessionRow>>>;
  changeAgentState(
    change: ValueChange,
    announce?: Announce<Access<ChangedValue<SessionRow>>>,
    sender?: object,
  ): Promise<Access<ChangedValue<SessionRow>>>;
  /** Without the client's version: rename, summary, what the hub itself notes. Version + 1 and `seq` + 1 when it changed. */
  editMetadata(
    edit: MetadataEdit,
    announce?: Announce<Access<EditedMetadata<SessionRow>>>,
  ): Promise<Access<EditedMetadata<SessionRow>>>;
  /** Pins, models, todos, team state. `changed` is false when all was so already. */
  setSessionColumns(
    key: SessionKey,
    columns: SessionColumns,
    announce?: Announce<Access<{ readonly changed: boolean; readonly row: SessionRow }>>,
  ): Promise<Access<{ readonly changed: boolean; readonly row: SessionRow }>>;
  /** With its messages, notes, usage and presence. */
  deleteSession(
    key: SessionKey,
    announce?: Announce<Access<{ readonly row: SessionRow }>>,
  ): Promise<Access<{ readonly row: SessionRow }>>;
  /**
   * One history out of two (hapi-socket 12): a localId on both sides is nulled on the old row, todos carry over, epoch + 1 when messages
   * moved. `unwanted` where the merge itself says so.
   */
  mergeSessions(
    merge: MergeSessions,
    announce?: Announce<Access<MergedSessions> | "unwanted">,
  ): Promise<Access<MergedSessions> | "unwanted">;
  /** All of a namespace, newest `updatedAt` first, with these keys of their metadata. */
  listAgentSessions(namespace: string, keys: readonly string[]): Promise<readonly AgentSessionRow[]>;

  // Messages. Both kinds of sender use `appendMessage`.

  appendMessage(
    message: NewMessage,
    announce?: Announce<Access<AppendedMessage>>,
    sender?: object,
  ): Promise<Access<AppendedMessage>>;
  /** hapi-http-sse C3, latest, before, after and until, with epoch. */
  pageMessages(key: SessionKey, query: PageQuery): Promise<Access<MessagePage>>;
  /** The CLI's back-fill: above `afterSeq`, ascending, without rows scheduled for later and without those that somebody may have. */
  messagesAfter(
    key: SessionKey,
    after: { readonly afterSeq: number; readonly limit: number },
  ): Promise<Access<Rows<MessageRow>>>;
  /** Newest first by seq. */
  recentMessages(sessionId: string, limit: number): Promise<readonly MessageRow[]>;
  /** Oldest first by seq: for the first words of a user, for titles. */
  firstMessages(sessionId: string, limit: number): Promise<readonly MessageRow[]>;
  /** All of a session by position, read as they are written, and how many and how large they are. */
  exportMessages(
    key: SessionKey,
  ): Promise<Access<{ readonly count: number; readonly bytes: number; readonly messages: Rows<MessageRow> }>>;
  /** By id or localId; undefined when the session has no such message. */
  findMessage(
    key: SessionKey,
    idOrLocalId: string,
  ): Promise<Access<{ readonly message: MessageRow | undefined }>>;
  queuedState(which: LocalIds): Promise<Access<QueuedState>>;
  /** The CLI took them: `invokedAt` becomes now on those that waited. `touches` as for a new message. */
  consumeMessages(
    which: LocalIds & { readonly touches?: boolean },
    announce?: Announce<Access<ConsumedMessages>>,
    sender?: object,
  ): Promise<Access<ConsumedMessages>>;
  /** Waiting ones get the state. `changed` are the localIds whose state was another one. */
  setDeliveryState(
    which: LocalIds & { readonly state: DeliveryState },
    announce?: Announce<Access<{ readonly changed: readonly string[]; readonly unknown: readonly string[] }>>,
    sender?: object,
  ): Promise<Access<{ readonly changed: readonly string[]; readonly unknown: readonly string[] }>>;
  /** Deletes a waiting message; one that was taken is given back. The epoch is raised when a row went. */
  cancelMessage(
    key: SessionKey,
    idOrLocalId: string,
    announce?: Announce<Access<CancelledMessage>>,
  ): Promise<Access<CancelledMessage>>;
  /** Indeterminate or dispatching becomes queued. */
  requeueMessage(
    key: SessionKey,
    idOrLocalId: string,
    announce?: Announce<Access<RequeuedMessage>>,
  ): Promise<Access<RequeuedMessage>>;
  /** Deletes the messages from this one on (rewind); all without one (clear). Epoch + 1. */
  truncateMessages(
    key: SessionKey,
    fromIdOrLocalId: string | undefined,
    announce?: Announce<Access<{ readonly removed: number; readonly epoch: number }>>,
  ): Promise<Access<{ readonly removed: number; readonly epoch: number }>>;
  /**
   * Copies of what was taken of `from`, up to but not with `before` when it is given, before those of `into` (fork). A localId that
   * `into` does not have yet is kept: the agent knows its history by them. Epoch of `into` + 1. The only one that is no single
   * operation: where it is refused or rejects, a part may be copied.
   */
  copyMessages(
    copy: {
      readonly namespace: string;
      readonly from: string;
      readonly into: string;
      readonly before?: string | undefined;
    },
    announce?: Announce<Access<{ readonly copied: number; readonly epoch: number }>>,
  ): Promise<Access<{ readonly copied: number; readonly epoch: number }>>;
  /** What still waits in `from` waits in `into` from now on, behind what is there. Epoch + 1 of both when something moved. */
  moveWaitingMessages(
    which: { readonly namespace: string; readonly from: string; readonly into: string },
    announce?: Announce<Access<{ readonly messages: readonly MessageRow[] }>>,
  ): Promise<Access<{ readonly messages: readonly MessageRow[] }>>;
  /**
   * Scheduled messages whose time has come and that nobody took yet, oldest schedule first. Of these sessions only, when they are
   * given: those of a session that never comes back stay due for ever, and count against nobody's `limit`.
   */
  dueMessages(now: number, limit: number, sessionIds?: readonly string[]): Promise<readonly WaitingMessage[]>;
  /** The time of the next one that is not due at `now`: nobody need look before. */
  nextDueAt(now: number): Promise<number | undefined>;
  /** What a CLI that connects anew is told again: localId, not invoked, not scheduled, state `queued`, by seq. */
  replayMessages(sessionId: string): Promise<readonly MessageRow[]>;
  /** The row's `active` 0 and `active_at`, as the released hub leaves them; presence; the sweep of what waits. */
  endSession(end: EndSession, announce?: Announce<Access<EndedSession>>): Promise<Access<EndedSession>>;

  // Machines.

  registerMachine(
    machine: RegisterMachine,
    announce?: Announce<RegisteredMachine | "access-denied">,
  ): Promise<RegisteredMachine | "access-denied">;
  findMachine(key: SessionKey): Promise<Access<MachineRow>>;
  listMachines(namespace: string): Promise<readonly MachineRow[]>;
  changeMachineMetadata(
    change: ValueChange,
    announce?: Announce<Access<ChangedValue<MachineRow>>>,
    sender?: object,
  ): Promise<Access<ChangedValue<MachineRow>>>;
  /** Also marks the row active, as of now. */
  changeRunnerState(
    change: ValueChange,
    announce?: Announce<Access<ChangedValue<MachineRow>>>,
    sender?: object,
  ): Promise<Access<ChangedValue<MachineRow>>>;
  /** displayName. */
  editMachineMetadata(
    edit: MetadataEdit,
    announce?: Announce<Access<EditedMetadata<MachineRow>>>,
  ): Promise<Access<EditedMetadata<MachineRow>>>;

  // Presence: transitions, not every keep-alive. Touches no message row.

  storePresence(changes: PresenceChanges, announce?: Announce<void>): Promise<void>;
  /** Everything that is stored as active, for a start. */
  listPresent(): Promise<StoredPresence>;

  // Who is told: Telegram, Web Push, phones.

  /** `already-bound`: to another namespace, and it stays so. */
  bindUser(binding: Omit<Binding, "createdAt">): Promise<"bound" | "already-bound">;
  findBinding(platform: string, platformUserId: string): Promise<Binding | undefined>;
  listBindings(platform: string, namespace: string): Promise<readonly Binding[]>;
  unbindUser(platform: string, platformUserId: string): Promise<boolean>;
  /** A known endpoint of the namespace gets new keys. Over `max` of a namespace the oldest goes. */
  putSubscription(subscription: Omit<PushSubscriptionRow, "id" | "createdAt">, max: number): Promise<void>;
  deleteSubscription(namespace: string, endpoint: string): Promise<boolean>;
  listSubscriptions(namespace: string): Promise<readonly PushSubscriptionRow[]>;
  /** A known (namespace, deviceId, platform) gets the new token, and so does nobody else: a token is one device's. */
  putDevice(device: Omit<DeviceRow, "id" | "createdAt" | "updatedAt">, max: number): Promise<void>;
  /** By device id or by token. @returns how many went. */
  deleteDevice(
    namespace: string,
    device: { readonly deviceId?: string; readonly token?: string },
  ): Promise<number>;
  listDevices(namespace: string): Promise<readonly DeviceRow[]>;

  /** Keeps a decision about a session that is there, and deletes registrations that are dead unless they were renewed since. */
  recordPush(push: RecordedPush, dead: readonly PushedTo[]): Promise<void>;
  /** The newest decision about an event that was kept within a time around `now`. */
  findKeptPush(
    namespace: string,
    eventKey: string,
    now: number,
    withinMs: number,
  ): Promise<KeptPush | undefined>;
  forgetOldPushes(now: number): Promise<void>;
  /** Requests of a session that people were told of; an empty list forgets them. */
  setTold(sessionId: string, ids: readonly string[]): Promise<void>;
  findTold(sessionId: string): Promise<readonly string[]>;

  // Notes of a session, newest first.

  listScratch(key: SessionKey): Promise<Access<{ readonly entries: readonly ScratchEntry[] }>>;
  /** `full`: the session has `max` of them. A known id gives the entry that is there. */
  addScratch(
    key: SessionKey,
    entry: {
      readonly entryId?: string | undefined;
      readonly text: string;
      readonly attachments: readonly unknown[];
      /** Absent: now. */
      readonly createdAt?: number | undefined;
    },
    max: number,
    announce?: Announce<Access<AddedScratch>>,
  ): Promise<Access<AddedScratch>>;
  /**
   * Before a file of a note is stored beside the database.
   * @returns how to give its room back when it was not stored. @throws AccountFull, StorageError "quota"
   */
  admitScratchFile(namespace: string, bytes: number): Promise<() => void>;
  /** Descriptions of the files of all notes of everybody. */
  listScratchAttachments(): Promise<readonly unknown[]>;
  /** Undefined when there is no such entry. */
  changeScratch(
    key: SessionKey,
    entryId: string,
    change: { readonly text?: string | undefined; readonly attachments?: readonly unknown[] | undefined },
    announce?: Announce<Access<{ readonly entry: ScratchEntry | undefined }>>,
  ): Promise<Access<{ readonly entry: ScratchEntry | undefined }>>;
  deleteScratch(
    key: SessionKey,
    entryId: string,
    announce?: Announce<Access<{ readonly entry: ScratchEntry | undefined }>>,
  ): Promise<Access<{ readonly entry: ScratchEntry | undefined }>>;

  // Usage, read out of messages that were not looked at yet.

  /**
   * Looks at messages that were not scanned, a slice of them; `extract` finds what one used. Pure.
   * @returns whether more is left.
   */
  scanUsage(extract: (message: MessageRow, session: UsageSession) => readonly UsageEvent[]): Promise<boolean>;
  /** Both ends included. `dayOf` names the day of a time where the asker lives. */
  usageSummary(range: {
    readonly from: number;
    readonly to: number;
    readonly dayOf: (at: number) => string;
  }): Promise<UsageSummary>;

  // The event ledger ("work graph").

  /** A known idempotency key of the namespace stores nothing and gives the first row. */
  appendWorkEvent(event: Omit<WorkEvent, "id"> & { readonly id?: string }): Promise<{
    readonly kind: "stored" | "known";
    readonly event: WorkEvent;
  }>;
  findWorkEvent(namespace: string, id: string): Promise<WorkEvent | undefined>;
  /** Newest first, without those that have expired. */
  listWorkEvents(
    namespace: string,
    filter: {
      readonly relatedSessionId?: string | undefined;
      readonly eventType?: string | undefined;
      readonly since?: number | undefined;
      readonly until?: number | undefined;
      readonly limit: number;
    },
  ): Promise<readonly WorkEvent[]>;
  /** Undefined when the namespace has not both. */
  linkWorkEvents(link: Omit<WorkLink, "id" | "createdAt">): Promise<WorkLink | undefined>;
  listWorkLinks(namespace: string, eventId: string): Promise<readonly WorkLink[]>;
  deleteExpiredWorkEvents(now: number): Promise<number>;

  // For the owner.

  /** By first use. Sizes come from our own counts. */
  listNamespaces(): Promise<readonly NamespaceRow[]>;
  sessionIdsOf(namespace: string): Promise<readonly string[]>;
  /** Bytes of what a session keeps: its values and its messages. */
  sessionBytes(sessionId: string): Promise<number>;
  /**
   * Sessions, machines, subscriptions, devices, bindings, work events. In slices; other namespaces go on meanwhile. `gone` hears of each
   * session and machine after the commit that took it.
   */
  deleteNamespace(
    namespace: string,
    gone?: Announce<{ readonly session: string } | { readonly machine: string }>,
  ): Promise<{ readonly sessions: readonly string[]; readonly machines: readonly string[] }>;
  /** Of the files of the database. */
  databaseFiles(): Promise<{
    readonly path: string;
    readonly databaseBytes: number;
    readonly walBytes: number;
    readonly shmBytes: number;
  }>;

  // What is older than is kept.

  /** The newest time of anything stored that is not later than `now`. */
  newestMoment(now: number): Promise<number | undefined>;
  countOld(cutoffs: OldCutoffs): Promise<readonly OldRows[]>;
  /**
   * The next session after this id, in the order of ids, that is inactive, was neither heard nor changed since `before`, is not pinned,
   * and has no message to deliver later.
   */
  nextInactiveSession(
    before: number,
    afterId: string,
    withMessages: boolean,
  ): Promise<{ readonly id: string; readonly namespace: string } | undefined>;
  /** Oldest first, a slice. @returns how many went; 0 when none are left, or the session came back to life. */
  deleteSomeMessages(sessionId: string, before: number): Promise<number>;
  deleteInactiveSession(
    sessionId: string,
    before: number,
    announce: Announce<{ readonly row: SessionRow } | undefined>,
  ): Promise<boolean>;
  deleteSomeUsage(before: number): Promise<number>;

  // The database itself.

  /** Rejects when it does not answer. */
  answers(): Promise<void>;
  /** Resolves when everything that the sender stored so far is committed or refused. */
  settled(sender?: object): Promise<void>;
  /** Messages as our own counts have them. */
  countRecords(): Promise<Readonly<Record<"namespaces" | "sessions" | "messages" | "machines", number>>>;
  /**
   * Brings our own counts up to date with rows that another hub wrote since we had the file; until it resolves a session that is not
   * counted yet has `hasConversationContent` true. To be called once after opening, and not waited for by anybody who serves. Of those
   * without todos the last messages are searched for some, when it is said how.
   */
  catchUp(backfill?: Backfill): Promise<void>;
}
