// Presence tells the truth (realtime contract 4 and 10, decisions). A entry, that is a session or machine, is kept active by who
// speaks for it. When the last speaker is lost it turns inactive one grace later, in the database and on every phone together, unless
// one came back. A restart changes nothing by itself: what has no speaker one grace after the start turns inactive then.
import type { Logger } from "pino";
import { userScoped } from "../audience.ts";
import type { Publisher } from "../publisher.ts";
import type { HappyStore } from "../store/index.ts";
import type { PresenceKind, PresenceRow } from "../store/presence.ts";
import { activity, type Ephemeral, machineActivity } from "../wire/updates.ts";
import { arrivalTime } from "./arrival.ts";
import { entryKey, type Hearing, PresenceEntry } from "./entry.ts";
import { Suppressions } from "./suppressions.ts";

export interface PresenceTiming {
  /** From the loss of the last speaker to inactive. */
  readonly graceMs: number;
  /** Between two writes of pending heartbeats. */
  readonly flushMs: number;
  /** A heartbeat is stored when it is this much newer than the stored one. */
  readonly storeEveryMs: number;
  /** Between two looks for rows that nothing here made active. */
  readonly sweepMs: number;
  /** How long such a row is seen without a speaker before it turns inactive. */
  readonly silenceMs: number;
  /** How long heartbeats are ignored after a session was ended. */
  readonly suppressMs: number;
}

/** What presence counts. */
export interface PresenceMetrics {
  /** A heartbeat was not worth a write. */
  heartbeatSkipped(kind: PresenceKind): void;
  /** `remembered`: without a look into the database. */
  ownershipAsked(kind: PresenceKind, remembered: boolean): void;
}

export const TIMING: Omit<PresenceTiming, "graceMs"> = {
  flushMs: 5_000,
  storeEveryMs: 30_000,
  sweepMs: 60_000,
  silenceMs: 10 * 60_000,
  suppressMs: 60_000,
};

interface Heartbeat {
  readonly at: number;
  readonly thinking: boolean;
  /** Id of the socket that it came over. */
  readonly socket: string;
}

export interface PresenceParts {
  readonly store: Pick<
    HappyStore,
    "findPresence" | "listActive" | "storeHeartbeats" | "storeEnd" | "storeLost" | "storeSilence"
  >;
  readonly publisher: Publisher;
  readonly log: Logger;
  readonly timing: PresenceTiming;
  /** As the store has it at the start. */
  readonly newestArchive: number;
  readonly metrics?: PresenceMetrics;
}

export class Presence {
  readonly #entries = new Map<string, PresenceEntry>();
  readonly #bySocket = new Map<string, Set<PresenceEntry>>();
  readonly #suppressed: Suppressions;
  /** Active rows that the last sweep found without a speaker, and since when, by the monotonic clock. */
  #unspoken = new Map<string, number>();
  /** Counts connections and archives, on from the newest archive that is stored: their order outlives a restart and every clock. */
  #seq: number;
  readonly #timers = new Set<Timer>();
  #stopped = false;

  /** Heartbeats that wait for the database to say whose they are, and sockets that left meanwhile. */
  #asking = 0;
  readonly #left = new Set<string>();

  constructor(private readonly parts: PresenceParts) {
    this.#suppressed = new Suppressions(parts.timing.suppressMs);
    this.#seq = parts.newestArchive;
  }

  start(): void {
    const { flushMs, sweepMs, graceMs } = this.parts.timing;
    this.#timers.add(setInterval(() => this.#quietly(this.flush()), flushMs));
    this.#timers.add(setInterval(() => this.#quietly(this.#sweep()), sweepMs));
    this.#timers.add(setTimeout(() => this.#quietly(this.#forgetUnspoken()), graceMs));
  }

  /** Stores pending heartbeats and ends every timer. Nothing is turned inactive by a stop. */
  async stop(): Promise<void> {
    this.#stopped = true;
    for (const timer of this.#timers) clearTimeout(timer);
    for (const entry of this.#entries.values()) entry.cancelGrace();
    await this.flush();
  }

  /** A socket that is scoped to one entry has come. */
  socketJoined(kind: PresenceKind, account: string, id: string, socket: string): void {
    const entry = this.#entry(kind, account, id);
    entry.join(socket, ++this.#seq);
    this.#link(socket, entry);
  }

  /** A socket is gone: what it alone spoke for has one grace to come back. */
  socketLeft(socket: string): void {
    if (this.#asking > 0) this.#left.add(socket);
    for (const entry of this.#bySocket.get(socket) ?? []) if (entry.leave(socket)) this.#beginGrace(entry);
    this.#bySocket.delete(socket);
  }

  /** Something other than a heartbeat made it active: it has one grace to be spoken for. */
  madeActive(kind: PresenceKind, account: string, id: string): void {
    const entry = this.#entry(kind, account, id);
    if (!entry.hasSpeaker) this.#beginGrace(entry);
  }

  /**
   * A heartbeat, with the sender's clock, which is held to ours. Ignored when suppressed, archived, or not of the account.
   * Every accepted one is told to the account's phones at once, and stored now and then.
   */
  heard(
    kind: PresenceKind,
    account: string,
    id: string,
    time: number,
    thinking: boolean,
    socket: string,
  ): void | Promise<void> {
    if (this.#suppressed.holds(entryKey(kind, account, id))) return;
    const entry = this.#entry(kind, account, id);
    const beat = { at: arrivalTime(time, Date.now()), thinking, socket };
    let remembered = true;
    const hearing = entry.hearing(() => {
      remembered = false;
      return this.parts.store.findPresence(kind, account, id);
    });
    this.parts.metrics?.ownershipAsked(kind, remembered);
    if (hearing instanceof Promise) return this.#whenKnown(hearing, entry, beat);
    if (hearing === "heard") this.#take(entry, beat);
  }

  /** What happened while the database was asked counts as if it had happened after the heartbeat, but for an end. */
  async #whenKnown(asked: Promise<Hearing>, entry: PresenceEntry, beat: Heartbeat): Promise<void> {
    this.#asking++;
    try {
      if ((await asked) !== "heard" || this.#suppressed.holds(entry.key)) return;
      this.#take(entry, beat);
      if (this.#left.has(beat.socket)) this.socketLeft(beat.socket);
    } finally {
      if (--this.#asking === 0) this.#left.clear();
      // Only what exists is remembered: ids that a client makes up cost nothing.
      if (entry.isIdle) this.#entries.delete(entry.key);
    }
  }

  #take(entry: PresenceEntry, { at, thinking, socket }: Heartbeat): void {
    const { kind, account } = entry;
    entry.heard(socket, at, this.parts.timing.storeEveryMs);
    if (entry.pending !== at) this.parts.metrics?.heartbeatSkipped(kind);
    this.#link(socket, entry);
    this.parts.publisher.ephemeral(userScoped(account), this.#ephemeral(entry, true, at, thinking));
  }

  /** The session was ended on purpose: pending heartbeats are dropped and late ones ignored for a while. */
  suppress(account: string, session: string): void {
    const key = entryKey("session", account, session);
    this.#suppressed.begin(key, ++this.#seq);
    this.#entries.get(key)?.forget();
  }

  /** The machine was deleted: what was heard of it is not stored, and its id may be another account's next. */
  forget(kind: PresenceKind, account: string, id: string): void {
    this.#entries.get(entryKey(kind, account, id))?.forget();
  }

  /** The session was opened again: its heartbeats count from now on. */
  lift(account: string, session: string): void {
    const key = entryKey("session", account, session);
    this.#suppressed.lift(key);
    this.#entries.get(key)?.askAgain();
  }

  /** Place of a socket that is scoped to that session among all connections and archives, else undefined. */
  joinedSeq(account: string, session: string, socket: string): number | undefined {
    return this.#entries.get(entryKey("session", account, session))?.joinedSeq(socket);
  }

  /** A process that connected at `joinedSeq` works in the session: what ended before it came is over. */
  resumed(account: string, session: string, joinedSeq: number): void {
    const key = entryKey("session", account, session);
    this.#suppressed.liftBefore(key, joinedSeq);
    this.#entries.get(key)?.askAgain();
  }

  /** The session's process, or who stops it, ends it as of `time` by that client's clock. False when the account has no such session. */
  end(account: string, session: string, time: number): Promise<boolean> {
    return this.#end(account, session, arrivalTime(time, Date.now()), undefined);
  }

  /** A person ends a session for good: until it is opened again or resumed. False when the account has no such session. */
  archive(account: string, session: string): Promise<boolean> {
    return this.#end(account, session, Date.now(), ++this.#seq);
  }

  /** Writes heartbeats that wait for it. */
  async flush(): Promise<void> {
    const pending = [...this.#entries.values()].filter((entry) => entry.pending !== undefined);
    if (pending.length === 0) return;
    const heard = pending.flatMap((entry) => entry.takePending());
    try {
      await this.parts.store.storeHeartbeats(heard);
    } catch (error) {
      for (const entry of pending) entry.markInactive();
      throw error;
    }
  }

  async #end(account: string, session: string, at: number, archiveSeq: number | undefined) {
    const end = { account, session, at, archiveSeq };
    // Before the commit too: a heartbeat that waits to be stored must not get into the same transaction.
    const found = () => this.suppress(account, session);
    try {
      return await this.parts.store.storeEnd(end, found, () => {
        // Again, as of now: what was opened again in the same turn, but earlier, was opened before this end.
        this.suppress(account, session);
        this.parts.publisher.ephemeral(userScoped(account), activity(session, false, at, false));
      });
    } catch (error) {
      // It did not end, so it goes on as what it was: heard, or with one grace to be.
      this.lift(account, session);
      this.madeActive("session", account, session);
      throw error;
    }
  }

  #beginGrace(entry: PresenceEntry, lostAt: number = Date.now()): void {
    if (this.#stopped) return;
    entry.beginGrace(this.parts.timing.graceMs, () => this.#quietly(this.#turnInactive(entry, lostAt)));
  }

  async #turnInactive(entry: PresenceEntry, lostAt: number): Promise<void> {
    entry.forget();
    const { kind, account, id } = entry;
    try {
      await this.parts.store.storeLost(kind, account, id, lostAt, (at, turned) => {
        // What was heard since the grace ended is stored with its next heartbeat.
        entry.markInactive();
        // A machine's socket was announced when it came, whether or not a row stands behind it.
        if (!turned && kind === "session") return;
        this.parts.publisher.ephemeral(userScoped(account), this.#ephemeral(entry, false, at, false));
      });
    } catch (error) {
      if (!entry.hasSpeaker) this.#beginGrace(entry, lostAt);
      throw error;
    }
    if (entry.isIdle) this.#entries.delete(entry.key);
  }

  /** One grace after the start: active rows without a speaker, whatever time they carry. */
  async #forgetUnspoken(): Promise<void> {
    try {
      await this.#silence(await this.#listUnspoken());
    } catch (error) {
      if (!this.#stopped)
        this.#timers.add(setTimeout(() => this.#quietly(this.#forgetUnspoken()), this.parts.timing.graceMs));
      throw error;
    }
  }

  async #sweep(): Promise<void> {
    this.#suppressed.forgetOld();
    for (const entry of this.#entries.values()) if (entry.isIdle) this.#entries.delete(entry.key);
    const unspoken = await this.#listUnspoken();
    const now = performance.now();
    const before = this.#unspoken;
    this.#unspoken = new Map();
    const silent = unspoken.filter(({ kind, account, id }) => {
      const key = entryKey(kind, account, id);
      const since = before.get(key) ?? now;
      this.#unspoken.set(key, since);
      return now - since >= this.parts.timing.silenceMs;
    });
    await this.#silence(silent);
  }

  async #listUnspoken(): Promise<PresenceRow[]> {
    return (await this.parts.store.listActive()).filter(({ kind, account, id }) => {
      const entry = this.#entries.get(entryKey(kind, account, id));
      return entry === undefined || !(entry.hasSpeaker || entry.inGrace);
    });
  }

  async #silence(rows: readonly PresenceRow[]): Promise<void> {
    if (rows.length === 0) return;
    await this.parts.store.storeSilence(rows, (turned) => {
      for (const { kind, account, id, lastActiveAt } of turned) {
        const entry = this.#entries.get(entryKey(kind, account, id)) ?? new PresenceEntry(kind, account, id);
        entry.markInactive();
        this.parts.publisher.ephemeral(
          userScoped(account),
          this.#ephemeral(entry, false, lastActiveAt, false),
        );
      }
    });
  }

  #entry(kind: PresenceKind, account: string, id: string): PresenceEntry {
    const key = entryKey(kind, account, id);
    let entry = this.#entries.get(key);
    if (entry === undefined) {
      entry = new PresenceEntry(kind, account, id);
      this.#entries.set(key, entry);
    }
    return entry;
  }

  #link(socket: string, entry: PresenceEntry): void {
    const entries = this.#bySocket.get(socket);
    if (entries === undefined) this.#bySocket.set(socket, new Set([entry]));
    else entries.add(entry);
  }

  #ephemeral({ kind, id }: PresenceEntry, active: boolean, at: number, thinking: boolean): Ephemeral {
    return kind === "session" ? activity(id, active, at, thinking) : machineActivity(id, active, at);
  }

  #quietly(work: Promise<void>): void {
    work.catch((error: unknown) =>
      this.parts.log.error({ err: error }, "presence could not be stored; it will be tried again"),
    );
  }
}
