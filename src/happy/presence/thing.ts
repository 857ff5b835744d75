// One session or machine as presence sees it: who speaks for it, what was heard, and the grace that runs when nobody does.
import type { Heard, PresenceKind, PresenceRow } from "../store/presence.ts";

export const thingKey = (kind: PresenceKind, account: string, id: string): string =>
  `${kind}:${account}:${id}`;

/** How long an answer to "does this account own it" holds (realtime contract 10.1). */
const OWNED_MS = 30_000;

export class Thing {
  readonly key: string;
  /** Sockets scoped to it, and sockets that sent a heartbeat for it. */
  readonly sockets = new Set<string>();
  readonly #speakers = new Set<string>();
  /** Time of a heartbeat that is not stored yet. */
  pending: number | undefined;
  #pk: number | undefined;
  #ownedUntil = 0;
  #storedAt = 0;
  #storedActive = false;
  #grace: Timer | undefined;

  constructor(
    readonly kind: PresenceKind,
    readonly account: string,
    readonly id: string,
  ) {
    this.key = thingKey(kind, account, id);
  }

  get inGrace(): boolean {
    return this.#grace !== undefined;
  }

  /** Nothing would be lost by forgetting it. */
  get isIdle(): boolean {
    return (
      this.sockets.size === 0 && !this.inGrace && this.pending === undefined && this.#ownedUntil < Date.now()
    );
  }

  /** Asks the database at most every 30 s; a no is not remembered. */
  isOwned(now: number, look: () => PresenceRow | undefined): boolean {
    if (this.#ownedUntil > now) return true;
    const row = look();
    if (row === undefined) return false;
    this.#pk = row.pk;
    this.#storedAt = row.lastActiveAt;
    this.#storedActive = row.active;
    this.#ownedUntil = now + OWNED_MS;
    return true;
  }

  heard(socket: string, at: number, storeEveryMs: number): void {
    this.sockets.add(socket);
    this.#speakers.add(socket);
    this.cancelGrace();
    // Also when stored as inactive: a thing that came back within the 30 s must not stay dark (contract 10.1, known quirk).
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

  /**
   * A socket is gone. True when with it the last one, or the last one that spoke for it, is gone: mere listeners, such as an agent
   * that watches a session, do not keep a dead process alive.
   */
  leave(socket: string): boolean {
    const spoke = this.#speakers.delete(socket);
    this.sockets.delete(socket);
    return this.sockets.size === 0 || (spoke && this.#speakers.size === 0);
  }

  beginGrace(graceMs: number, expired: (lostAt: number) => void): void {
    const lostAt = Date.now();
    clearTimeout(this.#grace);
    this.#grace = setTimeout(() => {
      this.#grace = undefined;
      expired(lostAt);
    }, graceMs);
  }

  cancelGrace(): void {
    clearTimeout(this.#grace);
    this.#grace = undefined;
  }

  /** Drops what was heard; the next heartbeat asks the database again. */
  forget(): void {
    this.cancelGrace();
    this.pending = undefined;
    this.#ownedUntil = 0;
    this.markInactive();
  }

  markInactive(): void {
    this.#storedActive = false;
  }
}
