// Presence tells the truth (realtime contract 4 and 10, decisions). A thing, that is a session or machine, is kept active by who
// speaks for it. When the last speaker is lost it turns inactive one grace later, in the database and on every phone together, unless
// one came back. A restart changes nothing by itself: what has no speaker one grace after the start turns inactive then.
import type { Logger } from "pino";
import type { Database } from "../../storage/database.ts";
import { userScoped } from "../audience.ts";
import type { Publisher } from "../publisher.ts";
import {
  findPresence,
  listActive,
  newestArchive,
  type PresenceKind,
  type PresenceRow,
  storeEnd,
  storeHeartbeats,
  storeLost,
  storeSilence,
} from "../store/presence.ts";
import { activity, type Ephemeral, machineActivity } from "../wire/updates.ts";
import { arrivalTime } from "./arrival.ts";
import { Suppressions } from "./suppressions.ts";
import { Thing, thingKey } from "./thing.ts";

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
export interface PresenceFigures {
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

export class Presence {
  readonly #things = new Map<string, Thing>();
  readonly #bySocket = new Map<string, Set<Thing>>();
  readonly #suppressed: Suppressions;
  /** Active rows that the last sweep found without a speaker, and since when, by the monotonic clock. */
  #unspoken = new Map<string, number>();
  /** Counts connections and archives, on from the newest archive that is stored: their order outlives a restart and every clock. */
  #seq: number;
  readonly #timers = new Set<Timer>();
  #stopped = false;

  constructor(
    private readonly database: Database,
    private readonly publisher: Publisher,
    private readonly log: Logger,
    private readonly timing: PresenceTiming,
    private readonly figures?: PresenceFigures,
  ) {
    this.#suppressed = new Suppressions(timing.suppressMs);
    this.#seq = newestArchive(database);
  }

  start(): void {
    const { flushMs, sweepMs, graceMs } = this.timing;
    this.#timers.add(setInterval(() => this.#quietly(this.flush()), flushMs));
    this.#timers.add(setInterval(() => this.#quietly(this.#sweep()), sweepMs));
    this.#timers.add(setTimeout(() => this.#quietly(this.#forgetUnspoken()), graceMs));
  }

  /** Stores pending heartbeats and ends every timer. Nothing is turned inactive by a stop. */
  async stop(): Promise<void> {
    this.#stopped = true;
    for (const timer of this.#timers) clearTimeout(timer);
    for (const thing of this.#things.values()) thing.cancelGrace();
    await this.flush();
  }

  /** A socket that is scoped to one thing has come. */
  socketJoined(kind: PresenceKind, account: string, id: string, socket: string): void {
    const thing = this.#thing(kind, account, id);
    thing.join(socket, ++this.#seq);
    this.#link(socket, thing);
  }

  /** A socket is gone: what it alone spoke for has one grace to come back. */
  socketLeft(socket: string): void {
    for (const thing of this.#bySocket.get(socket) ?? []) if (thing.leave(socket)) this.#beginGrace(thing);
    this.#bySocket.delete(socket);
  }

  /** Something other than a heartbeat made it active: it has one grace to be spoken for. */
  madeActive(kind: PresenceKind, account: string, id: string): void {
    const thing = this.#thing(kind, account, id);
    if (!thing.hasSpeaker) this.#beginGrace(thing);
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
  ): void {
    const key = thingKey(kind, account, id);
    if (this.#suppressed.holds(key)) return;
    const thing = this.#things.get(key) ?? new Thing(kind, account, id);
    let remembered = true;
    const hearing = thing.hearing(() => {
      remembered = false;
      return findPresence(this.database.reads, kind, account, id);
    });
    this.figures?.ownershipAsked(kind, remembered);
    if (hearing === "foreign") return;
    // Only what exists is remembered: ids that a client makes up cost nothing.
    this.#things.set(key, thing);
    if (hearing === "archived") return;
    const at = arrivalTime(time, Date.now());
    thing.heard(socket, at, this.timing.storeEveryMs);
    if (thing.pending !== at) this.figures?.heartbeatSkipped(kind);
    this.#link(socket, thing);
    this.publisher.ephemeral(userScoped(account), this.#ephemeral(thing, true, at, thinking));
  }

  /** The session was ended on purpose: pending heartbeats are dropped and late ones ignored for a while. */
  suppress(account: string, session: string): void {
    const key = thingKey("session", account, session);
    this.#suppressed.begin(key, ++this.#seq);
    this.#things.get(key)?.forget();
  }

  /** The machine was deleted: what was heard of it is not stored, and its id may be another account's next. */
  forget(kind: PresenceKind, account: string, id: string): void {
    this.#things.get(thingKey(kind, account, id))?.forget();
  }

  /** The session was opened again: its heartbeats count from now on. */
  lift(account: string, session: string): void {
    const key = thingKey("session", account, session);
    this.#suppressed.lift(key);
    this.#things.get(key)?.askAgain();
  }

  /** Place of a socket that is scoped to that session among all connections and archives, else undefined. */
  joinedSeq(account: string, session: string, socket: string): number | undefined {
    return this.#things.get(thingKey("session", account, session))?.joinedSeq(socket);
  }

  /** A process that connected at `joinedSeq` works in the session: what ended before it came is over. */
  resumed(account: string, session: string, joinedSeq: number): void {
    const key = thingKey("session", account, session);
    this.#suppressed.liftBefore(key, joinedSeq);
    this.#things.get(key)?.askAgain();
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
    const pending = [...this.#things.values()].filter((thing) => thing.pending !== undefined);
    if (pending.length === 0) return;
    const heard = pending.flatMap((thing) => thing.takePending());
    try {
      await storeHeartbeats(this.database, heard);
    } catch (error) {
      for (const thing of pending) thing.markInactive();
      throw error;
    }
  }

  async #end(account: string, session: string, at: number, archiveSeq: number | undefined) {
    const end = { account, session, at, archiveSeq };
    // Before the commit too: a heartbeat that waits to be stored must not get into the same transaction.
    const found = () => this.suppress(account, session);
    try {
      return await storeEnd(this.database, end, found, () => {
        // Again, as of now: what was opened again in the same turn, but earlier, was opened before this end.
        this.suppress(account, session);
        this.publisher.ephemeral(userScoped(account), activity(session, false, at, false));
      });
    } catch (error) {
      // It did not end, so it goes on as what it was: heard, or with one grace to be.
      this.lift(account, session);
      this.madeActive("session", account, session);
      throw error;
    }
  }

  #beginGrace(thing: Thing, lostAt: number = Date.now()): void {
    if (this.#stopped) return;
    thing.beginGrace(this.timing.graceMs, () => this.#quietly(this.#turnInactive(thing, lostAt)));
  }

  async #turnInactive(thing: Thing, lostAt: number): Promise<void> {
    thing.forget();
    const { kind, account, id } = thing;
    try {
      await storeLost(this.database, kind, account, id, lostAt, (at, turned) => {
        // What was heard since the grace ended is stored with its next heartbeat.
        thing.markInactive();
        // A machine's socket was announced when it came, whether or not a row stands behind it.
        if (!turned && kind === "session") return;
        this.publisher.ephemeral(userScoped(account), this.#ephemeral(thing, false, at, false));
      });
    } catch (error) {
      if (!thing.hasSpeaker) this.#beginGrace(thing, lostAt);
      throw error;
    }
    if (thing.isIdle) this.#things.delete(thing.key);
  }

  /** One grace after the start: active rows without a speaker, whatever time they carry. */
  async #forgetUnspoken(): Promise<void> {
    try {
      await this.#silence(this.#listUnspoken());
    } catch (error) {
      if (!this.#stopped)
        this.#timers.add(setTimeout(() => this.#quietly(this.#forgetUnspoken()), this.timing.graceMs));
      throw error;
    }
  }

  async #sweep(): Promise<void> {
    this.#suppressed.forgetOld();
    for (const thing of this.#things.values()) if (thing.isIdle) this.#things.delete(thing.key);
    const now = performance.now();
    const before = this.#unspoken;
    this.#unspoken = new Map();
    const silent = this.#listUnspoken().filter(({ kind, account, id }) => {
      const key = thingKey(kind, account, id);
      const since = before.get(key) ?? now;
      this.#unspoken.set(key, since);
      return now - since >= this.timing.silenceMs;
    });
    await this.#silence(silent);
  }

  #listUnspoken(): PresenceRow[] {
    return listActive(this.database).filter(({ kind, account, id }) => {
      const thing = this.#things.get(thingKey(kind, account, id));
      return thing === undefined || !(thing.hasSpeaker || thing.inGrace);
    });
  }

  async #silence(rows: readonly PresenceRow[]): Promise<void> {
    if (rows.length === 0) return;
    await storeSilence(this.database, rows, (turned) => {
      for (const { kind, account, id, lastActiveAt } of turned) {
        const thing = this.#things.get(thingKey(kind, account, id)) ?? new Thing(kind, account, id);
        thing.markInactive();
        this.publisher.ephemeral(userScoped(account), this.#ephemeral(thing, false, lastActiveAt, false));
      }
    });
  }

  #thing(kind: PresenceKind, account: string, id: string): Thing {
    const key = thingKey(kind, account, id);
    let thing = this.#things.get(key);
    if (thing === undefined) {
      thing = new Thing(kind, account, id);
      this.#things.set(key, thing);
    }
    return thing;
  }

  #link(socket: string, thing: Thing): void {
    const things = this.#bySocket.get(socket);
    if (things === undefined) this.#bySocket.set(socket, new Set([thing]));
    else things.add(thing);
  }

  #ephemeral({ kind, id }: Thing, active: boolean, at: number, thinking: boolean): Ephemeral {
    return kind === "session" ? activity(id, active, at, thinking) : machineActivity(id, active, at);
  }

  #quietly(work: Promise<void>): void {
    work.catch((error: unknown) =>
      this.log.error({ err: error }, "presence could not be stored; it will be tried again"),
    );
  }
}
