// Presence tells the truth (realtime contract 4 and 10, decisions). A thing, that is a session or machine, is kept active by
// heartbeats. When the socket that spoke for it is lost it turns inactive one grace later, in the database and on every phone
// together, unless a socket or heartbeat of it came back. A restart changes nothing by itself: who has not been heard one grace
// after the start turns inactive then.
import type { Logger } from "pino";
import type { Database } from "../../storage/database.ts";
import { userScoped } from "../audience.ts";
import type { Publisher } from "../publisher.ts";
import {
  findPresence,
  listActive,
  type PresenceKind,
  type PresenceRow,
  storeHeartbeats,
  storeInactive,
  storeLost,
  storeSilence,
} from "../store/presence.ts";
import { activity, type Ephemeral, machineActivity } from "../updates.ts";
import { Thing, thingKey } from "./thing.ts";

export interface PresenceTiming {
  /** From the loss of the last socket to inactive. */
  readonly graceMs: number;
  /** Between two writes of pending heartbeats. */
  readonly flushMs: number;
  /** A heartbeat is stored when it is this much newer than the stored one. */
  readonly storeEveryMs: number;
  /** Between two looks for rows that nobody keeps alive. */
  readonly sweepMs: number;
  /** Silence after which such a row turns inactive. */
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

/** A heartbeat older than this is ignored. */
const STALE_MS = 10 * 60_000;

export class Presence {
  readonly #things = new Map<string, Thing>();
  readonly #bySocket = new Map<string, Set<Thing>>();
  readonly #suppressed = new Map<string, number>();
  readonly #timers: Timer[] = [];
  #startedAt = Date.now();

  constructor(
    private readonly database: Database,
    private readonly publisher: Publisher,
    private readonly log: Logger,
    private readonly timing: PresenceTiming,
    private readonly figures?: PresenceFigures,
  ) {}

  start(): void {
    const { flushMs, sweepMs, graceMs } = this.timing;
    this.#startedAt = Date.now();
    this.#timers.push(
      setInterval(() => this.#quietly(this.flush()), flushMs),
      setInterval(() => this.#quietly(this.#sweep()), sweepMs),
      setTimeout(() => this.#quietly(this.#forgetUnheard()), graceMs),
    );
  }

  /** Stores pending heartbeats and ends every timer. Nobody is turned inactive by a stop. */
  async stop(): Promise<void> {
    for (const timer of this.#timers) clearTimeout(timer);
    for (const thing of this.#things.values()) thing.cancelGrace();
    await this.flush();
  }

  /** A socket that speaks or listens for one thing has come. */
  socketJoined(kind: PresenceKind, account: string, id: string, socket: string): void {
    const thing = this.#thing(kind, account, id);
    thing.sockets.add(socket);
    thing.cancelGrace();
    this.#link(socket, thing);
  }

  /** A socket is gone: what it alone spoke for has one grace to come back. */
  socketLeft(socket: string): void {
    for (const thing of this.#bySocket.get(socket) ?? []) {
      if (thing.leave(socket))
        thing.beginGrace(this.timing.graceMs, (lostAt) => this.#quietly(this.#turnInactive(thing, lostAt)));
    }
    this.#bySocket.delete(socket);
  }

  /**
   * A heartbeat, with the sender's clock. Ignored when too old, suppressed, or not of the account; a clock ahead is held to ours.
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
    const now = Date.now();
    const at = Math.min(time, now);
    if (at < now - STALE_MS || (kind === "session" && this.#isSuppressed(account, id))) return;
    const key = thingKey(kind, account, id);
    const thing = this.#things.get(key) ?? new Thing(kind, account, id);
    let remembered = true;
    const isOwned = thing.isOwned(now, () => {
      remembered = false;
      return findPresence(this.database.reads, kind, account, id);
    });
    this.figures?.ownershipAsked(kind, remembered);
    if (!isOwned) return;
    // Only what exists is remembered: ids that somebody makes up cost nothing.
    this.#things.set(key, thing);
    thing.heard(socket, at, this.timing.storeEveryMs);
    if (thing.pending !== at) this.figures?.heartbeatSkipped(kind);
    this.#link(socket, thing);
    this.publisher.ephemeral(userScoped(account), this.#ephemeral(thing, true, at, thinking));
  }

  /** The session was ended on purpose: pending heartbeats are dropped and late ones ignored for a while. */
  suppress(account: string, session: string): void {
    const key = thingKey("session", account, session);
    this.#suppressed.set(key, Date.now() + this.timing.suppressMs);
    this.#things.get(key)?.forget();
  }

  /** The machine was deleted: what was heard of it is not stored, and its id may be somebody else's next. */
  forget(kind: PresenceKind, account: string, id: string): void {
    this.#things.get(thingKey(kind, account, id))?.forget();
  }

  /** The session was opened again. */
  lift(account: string, session: string): void {
    this.#suppressed.delete(thingKey("session", account, session));
  }

  /** Ends a session as of `at`. Undefined when the account has no such session. */
  async end(account: string, session: string, at: number): Promise<boolean | undefined> {
    return storeInactive(this.database, "session", account, session, at, (wasActive) => {
      if (wasActive === undefined) return;
      this.suppress(account, session);
      this.publisher.ephemeral(userScoped(account), activity(session, false, at, false));
    });
  }

  /** Writes heartbeats that wait for it. */
  async flush(): Promise<void> {
    const pending = [...this.#things.values()].filter((thing) => thing.pending !== undefined);
    if (pending.length === 0) return;
    const heard = pending.flatMap((thing) => thing.takePending());
    await storeHeartbeats(this.database, heard);
  }

  async #turnInactive(thing: Thing, lostAt: number): Promise<void> {
    thing.forget();
    const { kind, account, id } = thing;
    await storeLost(this.database, kind, account, id, lostAt, (turned) => {
      // A machine's socket was announced when it came, whether or not a row stands behind it.
      if (!turned && kind === "session") return;
      this.publisher.ephemeral(userScoped(account), this.#ephemeral(thing, false, lostAt, false));
    });
    if (thing.isIdle) this.#things.delete(thing.key);
  }

  /** One grace after the start: rows of an earlier run that nobody has spoken for since. */
  async #forgetUnheard(): Promise<void> {
    await this.#silence(listActive(this.database, this.#startedAt).filter((row) => !this.#isAlive(row)));
  }

  async #sweep(): Promise<void> {
    const now = Date.now();
    for (const [key, until] of this.#suppressed) if (until <= now) this.#suppressed.delete(key);
    for (const thing of this.#things.values()) if (thing.isIdle) this.#things.delete(thing.key);
    await this.#silence(listActive(this.database, now - this.timing.silenceMs));
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

  #isAlive({ kind, account, id }: PresenceRow): boolean {
    const thing = this.#things.get(thingKey(kind, account, id));
    return thing !== undefined && (thing.sockets.size > 0 || thing.inGrace || thing.pending !== undefined);
  }

  #isSuppressed(account: string, session: string): boolean {
    return (this.#suppressed.get(thingKey("session", account, session)) ?? 0) > Date.now();
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
