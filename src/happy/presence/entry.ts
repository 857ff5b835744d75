// One session or machine as presence sees it: who speaks for it, what was heard, and the grace that runs when no socket does. Spans
// are measured by the monotonic clock; only what is stored and told is wall-clock time.
import type { Heard, PresenceKind, PresenceRow } from "../store/presence.ts";

export const entryKey = (kind: PresenceKind, account: string, id: string): string =>
  `${kind}:${account}:${id}`;

/** How long an answer to "does this account own it" holds (realtime contract 10.1). */
const OWNED_MS = 30_000;

/** Whether heartbeats of an entry count: not of an entry of another account, and not while a person's archive holds. */
export type Hearing = "heard" | "archived" | "foreign";

export class PresenceEntry {
  readonly key: string;
  /** Sockets that are scoped to it, with their place among all connections. */
  readonly #scoped = new Map<string, number>();
  /**
   * Sockets that speak for it: its machine's own, and every one that sent a heartbeat. A process and an agent that watches it connect
   * to a session alike (realtime contract 13.4, 13.6); only the process beats.
   */
  readonly #speakers = new Set<string>();
  /** Time of a heartbeat that is not stored yet. */
  pending: number | undefined;
  #pk: number | undefined;
  #isArchived = false;
  #ownedUntil = 0;
  /** The question that is under way. */
  #looking: Promise<Hearing> | undefined;
  /** Grows with all that makes an answer worthless that was asked for before. */
  #changes = 0;
  #storedAt = 0;
  #storedActive = false;
  #grace: Timer | undefined;

  constructor(
    readonly kind: PresenceKind,
    readonly account: string,
    readonly id: string,
  ) {
    this.key = entryKey(kind, account, id);
  }

  get hasSpeaker(): boolean {
    return this.#speakers.size > 0;
  }

  get inGrace(): boolean {
    return this.#grace !== undefined;
  }

  /** Nothing would be lost by forgetting it. */
  get isIdle(): boolean {
    return (
      this.#scoped.size === 0 &&
      !this.hasSpeaker &&
      !this.inGrace &&
      this.pending === undefined &&
      this.#looking === undefined &&
      this.#ownedUntil < performance.now()
    );
  }

  /** Place of a socket that is scoped to it among all connections. */
  joinedSeq(socket: string): number | undefined {
    return this.#scoped.get(socket);
  }

  /**
   * Asks the database at most every 30 s, and is a promise only then: heartbeats that come meanwhile wait for the same answer, in their
   * order. That it is foreign is not remembered.
   */
  hearing(look: () => Promise<PresenceRow | undefined>): Hearing | Promise<Hearing> {
    if (this.#looking !== undefined) return this.#looking;
    if (this.#ownedUntil > performance.now()) return this.#isArchived ? "archived" : "heard";
    this.#looking = this.#look(look);
    return this.#looking;
  }

  async #look(look: () => Promise<PresenceRow | undefined>): Promise<Hearing> {
    try {
      for (;;) {
        const [now, changes] = [performance.now(), this.#changes];
        const row = await look();
        // It was ended, turned or opened again while the answer was on its way.
        if (changes !== this.#changes) continue;
        if (row === undefined) return "foreign";
        this.#pk = row.pk;
        this.#isArchived = row.archivedSeq !== null;
        this.#storedAt = row.lastActiveAt;
        this.#storedActive = row.active;
        this.#ownedUntil = now + OWNED_MS;
        return this.#isArchived ? "archived" : "heard";
      }
    } finally {
      this.#looking = undefined;
    }
  }

  join(socket: string, seq: number): void {
    this.#scoped.set(socket, seq);
    if (this.kind === "machine") this.#speak(socket);
  }

  heard(socket: string, at: number, storeEveryMs: number): void {
    this.#speak(socket);
    // Also when stored as inactive: an entry that came back within the 30 s must not stay dark (contract 10.1, known quirk).
    if (!this.#storedActive || Math.abs(at - this.#storedAt) > storeEveryMs) this.pending = at;
  }

  /** Hands out what is to be stored, and counts it as stored. */
  takePending(): Heard[] {
    if (this.pending === undefined || this.#pk === undefined) return [];
    const heard = { kind: this.kind, pk: this.#pk, id: this.id, at: this.pending };
    this.#storedAt = this.pending;
    this.#storedActive = true;
    this.pending = undefined;
    return [heard];
  }

  /** A socket is gone. True when a grace must begin now: with its last speaker, or the last socket of what has none. */
  leave(socket: string): boolean {
    this.#scoped.delete(socket);
    const spoke = this.#speakers.delete(socket);
    if (this.hasSpeaker || this.inGrace) return false;
    return spoke || this.#scoped.size === 0;
  }

  beginGrace(graceMs: number, expired: () => void): void {
    clearTimeout(this.#grace);
    this.#grace = setTimeout(() => {
      this.#grace = undefined;
      expired();
    }, graceMs);
  }

  cancelGrace(): void {
    clearTimeout(this.#grace);
    this.#grace = undefined;
  }

  /** The next heartbeat asks the database again. */
  askAgain(): void {
    this.#changes++;
    this.#ownedUntil = 0;
  }

  /** Drops what was heard: it was ended. */
  forget(): void {
    this.cancelGrace();
    this.pending = undefined;
    this.askAgain();
    this.markInactive();
  }

  /** The next heartbeat is stored, however fresh the stored time. */
  markInactive(): void {
    this.#changes++;
    this.#storedActive = false;
  }

  #speak(socket: string): void {
    this.#speakers.add(socket);
    this.cancelGrace();
  }
}
