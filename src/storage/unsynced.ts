// Groups that are committed and not yet durable, in commit order. One sync is under way at a time; it covers what was committed before it
// began, and while a group's announcements run the disk works on the next ones already. Nobody is told of a group before a sync that
// covers it has come back, and nothing is told out of order. What waits is bounded: beyond that, a commit waits for the disk itself.

import type { StorageError } from "./errors.ts";

/** All that waits together, in operations and in bytes that they say they store. */
export const MAX_UNSYNCED = 8_192;
export const MAX_UNSYNCED_BYTES = 32 * 1024 * 1024;

export interface Group {
  /** Of its first operation, from performance.now(). */
  readonly since: number;
  readonly operations: number;
  readonly bytes: number;
  /** Whether it may have changed anything: what has not is as durable as what was committed before it. */
  readonly wrote: boolean;
}

export interface Syncs {
  /** Resolves when everything that was committed before the call is durable. */
  sync(): Promise<void>;
  /** The same, while everything waits for it. */
  now(): void;
}

export interface UnsyncedParts<G extends Group> {
  /** Undefined where every commit is durable by itself. */
  readonly log: Syncs | undefined;
  /** Asked when a sync has come back: an error refuses everything. */
  readonly whyLost: () => StorageError | undefined;
  /** They are durable. */
  readonly tell: (groups: readonly G[]) => void;
  /** Nothing that waits will be told any more. To be answered with `refuse`. */
  readonly lost: (error: StorageError) => void;
  /** A sync has failed. @returns what everybody is told of it. */
  readonly syncFailed: (error: unknown) => StorageError;
}

interface Entry<G> {
  readonly number: number;
  readonly group: G;
  /** For those who have seen it. */
  told: PromiseWithResolvers<void> | undefined;
}

export class Unsynced<G extends Group> {
  #entries: Entry<G>[] = [];
  #operations = 0;
  #bytes = 0;
  #last = 0;
  #isSyncing = false;
  /** A sync that has failed is never tried again: the system may have forgotten the pages, and says that all is well the next time. */
  #isOver = false;
  /** Readers see for good what was refused after its commit: nothing that they see is durable any more. */
  #refused: Promise<void> | undefined;

  constructor(private readonly parts: UnsyncedParts<G>) {}

  /** Operations that are committed and wait. */
  get operations(): number {
    return this.#operations;
  }

  /** Of the oldest operation that waits. */
  get since(): number | undefined {
    return this.#entries[0]?.group.since;
  }

  /** A group has been committed. It is told in its turn, which is at once where nothing has to be waited for. */
  push(group: G): void {
    const isDurable = this.parts.log === undefined || (!group.wrote && this.#entries.length === 0);
    this.#entries.push({ number: ++this.#last, group, told: undefined });
    this.#operations += group.operations;
    this.#bytes += group.bytes;
    if (isDurable) this.#settle(this.#last);
    else if (this.#operations > MAX_UNSYNCED || this.#bytes > MAX_UNSYNCED_BYTES) this.now();
    else this.#begin();
  }

  /** Resolves when everything that is committed by now is durable and told; undefined when it is. Rejects when it is refused. */
  durable(): Promise<void> | undefined {
    const last = this.#entries.at(-1);
    if (last === undefined) return this.#refused;
    if (last.told === undefined) {
      last.told = Promise.withResolvers();
      quiet(last.told.promise);
    }
    return last.told.promise;
  }

  /** Makes everything durable and tells of it before it returns. */
  now(): void {
    if (this.#entries.length === 0 || this.#isOver) return;
    try {
      this.parts.log?.now();
    } catch (error) {
      this.#fail(error);
      return;
    }
    this.#settle(this.#last);
  }

  /** Whoever has seen what waits is refused, and nothing is told any more. @returns what waited. */
  refuse(error: StorageError): G[] {
    this.#isOver = true;
    const entries = this.#take(this.#last);
    if (entries.length > 0) this.#refused = quiet(Promise.reject(error));
    for (const { told } of entries) told?.reject(error);
    return entries.map(({ group }) => group);
  }

  #begin(): void {
    const { log } = this.parts;
    if (this.#isSyncing || this.#isOver || log === undefined || this.#entries.length === 0) return;
    this.#isSyncing = true;
    const through = this.#last;
    log.sync().then(
      () => {
        this.#isSyncing = false;
        this.#settle(through);
      },
      (error: unknown) => {
        this.#isSyncing = false;
        this.#fail(error);
      },
    );
  }

  #settle(through: number): void {
    if (this.#isOver) return;
    const lost = this.#entries.length === 0 ? undefined : this.parts.whyLost();
    if (lost !== undefined) {
      this.#isOver = true;
      this.parts.lost(lost);
      return;
    }
    const entries = this.#take(through);
    this.#begin();
    // A sync on the event loop was faster.
    if (entries.length === 0) return;
    this.parts.tell(entries.map(({ group }) => group));
    for (const { told } of entries) told?.resolve();
  }

  /** Those up to a number, and those behind them that have changed nothing. */
  #take(through: number): Entry<G>[] {
    let count = 0;
    for (const { number, group } of this.#entries) {
      if (number > through && group.wrote) break;
      count++;
    }
    const taken = this.#entries.splice(0, count);
    for (const { group } of taken) {
      this.#operations -= group.operations;
      this.#bytes -= group.bytes;
    }
    return taken;
  }

  #fail(error: unknown): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.parts.lost(this.parts.syncFailed(error));
  }
}

/** Who only asks whether something waits does not listen to what becomes of it. */
function quiet(promise: Promise<void>): Promise<void> {
  promise.catch(() => {});
  return promise;
}
