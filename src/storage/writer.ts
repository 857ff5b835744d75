// Group commit. All writes of one event-loop turn share one transaction. After it has committed, it waits in line for a sync of the log
// (unsynced.ts), while the next ones commit; once it is durable, announcements run in commit order, and only then is anybody told "done".
// So nothing is acknowledged or announced that a crash could take back, and nothing that reveals a change leaves the process before the
// announcements of every earlier change.
//
// While another program holds SQLite's write lock, operations wait in line, in order and off the event loop, for a bounded time.
import type { Database } from "bun:sqlite";
import type { Logger } from "pino";
import type { Condition } from "./condition.ts";
import { asStorageError, heldError, isBusy, StorageError, syncError } from "./errors.ts";
import { HeldLock } from "./held-lock.ts";
import { type Committed, committed, type Pending, tell } from "./operation-group.ts";
import type { Db } from "./query.ts";
import { type Syncs, Unsynced } from "./unsynced.ts";
import { WaitingLine } from "./waiting-line.ts";

/** How long an operation waits for another program's lock. */
export const WAIT_MS = 5_000;
/** A line is worked off in turns of about this length, so that reads come in between. */
const TURN_MS = 10;
/** What waits longer than this waits for a writer that is dead: every other reason has its own, shorter end. */
const STUCK_MS = 4 * WAIT_MS;

export interface WriterParts {
  readonly sqlite: Database;
  readonly db: Db;
  readonly log: Logger;
  /** Of the file, as people see it. */
  readonly name?: string;
  /** Told what is refused and why. */
  readonly condition?: Condition;
  /** Makes commits durable; without it they are so by themselves. */
  readonly syncs?: Syncs | undefined;
  /** Called after every commit, for the checkpointer. */
  readonly onCommit?: () => void;
  /** Called when something has become durable. */
  readonly onDurable?: () => void;
  /** Asked when something is durable, before anybody is told: an error refuses it, and everything after it. */
  readonly whyLost?: () => StorageError | undefined;
  /** The log could not be synced, and nothing is stored any more. @returns what everybody is told. */
  readonly syncFailed?: (error: unknown) => StorageError;
  readonly waitMs?: number;
}

export interface Operation {
  /** What it stores, as it came: measured only when it must wait for a foreign lock, for the bound on what waits. */
  readonly holds?: unknown;
  /** Whose operations must not overtake each other when one is refused, such as a socket. */
  readonly sender?: object | undefined;
}

export class Writer {
  readonly #line = new WaitingLine<Pending>();
  #group: Pending[] = [];
  #open = false;
  /** The open transaction waits for its end, and takes nobody in any more. */
  #sealed = false;
  #closed = false;
  #working = false;
  #lost: StorageError | undefined;
  /** While another program has the lock. */
  #held: HeldLock | undefined;
  #retry: Timer | undefined;
  #turnPlanned = false;
  /** Operations that have run, for whoever must know whether one has. */
  #runs = 0;
  readonly #unsynced: Unsynced<Committed>;
  readonly #statements;

  constructor(private readonly parts: WriterParts) {
    const { sqlite } = parts;
    this.#unsynced = new Unsynced({
      log: parts.syncs,
      whyLost: () => parts.whyLost?.(),
      tell: (groups) => {
        parts.onDurable?.();
        tell(groups, parts.log);
      },
      lost: (error) => this.lose(error),
      syncFailed: (error) => parts.syncFailed?.(error) ?? syncError(this.#name, error),
    });
    this.#statements = {
      begin: sqlite.prepare("BEGIN IMMEDIATE"),
      commit: sqlite.prepare("COMMIT"),
      savepoint: sqlite.prepare("SAVEPOINT operation"),
      release: sqlite.prepare("RELEASE operation"),
      undo: sqlite.prepare("ROLLBACK TO operation"),
    };
  }

  /** Operations that wait for their commit, for the lock, or for the disk. */
  get depth(): number {
    return this.#waiting + this.#unsynced.operations;
  }

  /** How long another program has kept operations waiting; 0 when none waits. */
  get heldMs(): number {
    return this.#held === undefined || this.#waiting === 0 ? 0 : this.#held.ms;
  }

  /** Whether operations wait that nothing will ever settle. Only a restart mends that. */
  get isStuck(): boolean {
    const oldest = this.#unsynced.since ?? (this.#group[0] ?? this.#line.head)?.since;
    return oldest !== undefined && performance.now() - oldest > STUCK_MS;
  }

  /** Grows with everything whose promise waits for the disk by itself: a store tells by it what has only read. */
  get runs(): number {
    return this.#runs;
  }

  /**
   * Resolves when everything that readers can see by now is durable and announced; undefined when it is. Rejects when that is refused.
   */
  durable(): Promise<void> | undefined {
    return this.#unsynced.durable();
  }

  /** Not committed yet. */
  get #waiting(): number {
    return this.#group.length + this.#line.length;
  }

  /**
   * Runs `work` inside the turn's transaction: at once, or, while another program holds the write lock, as soon as that lets go. One
   * atomic operation, undone alone when it throws.
   * `announce` gets the result once that is durable, before any later operation's announcement.
   * Resolves when it is durable, after the announcements of the whole group.
   * @throws whatever `work` throws; StorageError when the disk refuses, or when the lock is held for too long.
   */
  run<T>(work: (db: Db) => T, announce?: (result: T) => void, operation: Operation = {}): Promise<T> {
    return this.#run(work, announce, operation, false);
  }

  #run<T>(
    work: (db: Db) => T,
    announce: ((result: T) => void) | undefined,
    { holds, sender }: Operation,
    changesNothing: boolean,
  ): Promise<T> {
    this.#runs++;
    if (this.#lost !== undefined) return Promise.reject(this.#lost);
    // What a restore of the last backup would throw away is not acknowledged.
    if (this.parts.condition?.isDamaged === true) return Promise.reject(this.parts.condition.problem);
    if (this.#closed) return Promise.reject(new StorageError("closed", "The server is stopping."));
    if (this.#working) return Promise.reject(new Error("A store operation may not start another one."));
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    // Those of one turn are as old as its first.
    const since = this.#group[0]?.since ?? performance.now();
    const operation: Pending = {
      since,
      holds,
      sender,
      work,
      resolve,
      reject,
      outcome: undefined,
      changesNothing,
    };
    if (announce !== undefined) operation.announce = announce;
    if (this.#line.length > 0 || !this.#execute(operation)) this.#wait(operation);
    return promise;
  }

  /** The same writer, for one operation that stores `holds`. */
  holding(holds: unknown): Pick<Writer, "run"> {
    return { run: (work, announce) => this.run(work, announce, { holds }) };
  }

  /**
   * Resolves when everything that was run so far is durable (or was refused). While another program holds the lock, only what the
   * same sender has run counts of what is not committed: others may wait long, and it is no concern of theirs.
   */
  barrier(sender?: object): Promise<void> {
    this.#runs++;
    const waits =
      this.#waiting > 0 && (sender === undefined || this.#held === undefined || this.#waitsFor(sender));
    return waits
      ? this.#run(() => undefined, undefined, { sender }, true)
      : (this.durable() ?? Promise.resolve());
  }

  #waitsFor(sender: object): boolean {
    return this.#line.has(sender) || this.#group.some((operation) => operation.sender === sender);
  }

  #endTurn(): void {
    if (this.#open) this.#commit();
    this.#goOn();
  }

  #commit(): void {
    const group = this.#group;
    try {
      this.#statements.commit.run();
    } catch (error) {
      // The transaction is still whole, and another program is in the way of its end only: that is tried again.
      if (isBusy(error) && this.parts.sqlite.inTransaction && this.#mayWait(group[0])) {
        this.#sealed = true;
        this.#tryLater();
        return;
      }
      if (this.parts.sqlite.inTransaction) this.parts.sqlite.run("ROLLBACK");
      this.#fail(error);
      return;
    }
    this.#ended();
    this.#released();
    this.parts.onCommit?.();
    this.#unsynced.push(committed(group, this.parts.syncs !== undefined));
  }

  /** The files are gone, or the disk has lost what was written: refuses what is not durable, what waits, and everything later. */
  lose(error: StorageError): void {
    const group = this.#group;
    if (this.#open && this.parts.sqlite.inTransaction) this.parts.sqlite.run("ROLLBACK");
    this.#ended();
    this.#lost ??= error;
    clearTimeout(this.#retry);
    const undurable = this.#unsynced.refuse(this.#lost).flatMap(({ pending }) => pending);
    this.#refuse([...undurable, ...group, ...this.#line.takeAll()], this.#lost);
  }

  /** Makes durable what is there and refuses everything later. What waits for a foreign lock gets one last try. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#retry);
    this.#endTurn();
    try {
      while (this.#lost === undefined && this.#line.length > 0 && this.#begin()) {
        this.#work(Number.POSITIVE_INFINITY);
        this.#endTurn();
      }
    } catch (error) {
      this.#refuse(this.#line.takeAll(), asStorageError(error));
    }
    this.#unsynced.now();
    this.#refuse(this.#line.takeAll(), heldError(this.#name));
    for (const statement of Object.values(this.#statements)) statement.finalize();
  }

  get #name(): string {
    return this.parts.name ?? "the database";
  }

  /** False when the write lock is another program's: then nothing has happened. */
  #execute(operation: Pending): boolean {
    try {
      if (!this.#begin()) return false;
      operation.outcome = { result: this.#attempt(operation) };
      this.#group.push(operation);
    } catch (error) {
      this.parts.condition?.note(error);
      const problem = asStorageError(error);
      // What it has thrown may tell of an earlier change: it is told with its group. What the disk says tells of none.
      if (this.#open && !(problem instanceof StorageError && problem !== error)) {
        operation.outcome = { problem };
        this.#group.push(operation);
      } else operation.reject(problem);
      // A full disk can make SQLite drop the whole transaction, and with it the turn's earlier operations.
      if (this.#open && !this.parts.sqlite.inTransaction) this.#fail(error);
    }
    return true;
  }

  #begin(): boolean {
    if (this.#open) return !this.#sealed;
    try {
      this.#statements.begin.run();
    } catch (error) {
      if (isBusy(error)) return false;
      throw error;
    }
    this.#open = true;
    setImmediate(() => this.#endTurn());
    return true;
  }

  #attempt(operation: Pending): unknown {
    this.#statements.savepoint.run();
    this.#working = true;
    try {
      const result = operation.work(this.parts.db);
      this.#statements.release.run();
      return result;
    } catch (error) {
      if (this.parts.sqlite.inTransaction) {
        this.#statements.undo.run();
        this.#statements.release.run();
      }
      throw error;
    } finally {
      this.#working = false;
    }
  }

  #wait(operation: Pending): void {
    if (!this.#line.push(operation)) {
      operation.reject(heldError(this.#name));
      this.#held?.refused(1);
      return;
    }
    // An open transaction goes on with the line when it has ended.
    if (!this.#open || this.#sealed) this.#tryLater();
  }

  /** Whether somebody's time for waiting is not over yet. */
  #mayWait(operation: Pending | undefined): boolean {
    return !this.#closed && operation !== undefined && performance.now() - operation.since < this.#waitMs;
  }

  get #waitMs(): number {
    return this.parts.waitMs ?? WAIT_MS;
  }

  #tryLater(): void {
    this.#held ??= new HeldLock(this.#name, this.parts.log);
    if (this.#retry !== undefined || this.#turnPlanned) return;
    this.#retry = setTimeout(() => {
      this.#retry = undefined;
      this.#expire();
      if (this.#open) this.#endTurn();
      else this.#drain();
    }, this.#held.nextWaitMs());
  }

  #goOn(): void {
    if (this.#line.length === 0 || this.#turnPlanned || this.#retry !== undefined || this.#closed) return;
    this.#turnPlanned = true;
    setImmediate(() => {
      this.#turnPlanned = false;
      this.#drain();
    });
  }

  /** Works on the line for a turn, if the lock lets it. */
  #drain(): void {
    if (this.#line.length === 0 || this.#closed || this.#lost !== undefined) return;
    try {
      if (!this.#begin()) {
        this.#tryLater();
        return;
      }
    } catch (error) {
      this.parts.condition?.note(error);
      this.#refuse(this.#line.takeAll(), asStorageError(error));
      return;
    }
    this.#work(performance.now() + TURN_MS);
  }

  #work(until: number): void {
    do {
      const operation = this.#line.shift();
      if (operation === undefined) return;
      this.#execute(operation);
    } while (performance.now() < until);
  }

  /** Refuses who has waited long enough. */
  #expire(): void {
    const now = performance.now();
    this.#held?.tell();
    const expired = this.#line.takeExpired(now - this.#waitMs);
    if (expired.length === 0) return;
    const error = heldError(this.#name);
    this.parts.condition?.refused(error);
    this.#held?.refused(expired.length);
    this.#refuse(expired, error);
  }

  /** The lock is ours again. */
  #released(): void {
    this.#held?.end();
    this.#held = undefined;
  }

  #ended(): void {
    this.#open = false;
    this.#sealed = false;
    this.#group = [];
  }

  #fail(error: unknown): void {
    const group = this.#group;
    this.#ended();
    this.parts.condition?.note(error);
    this.parts.log.error(
      { err: error, operations: group.length },
      "the disk refused a transaction; its operations were undone",
    );
    this.#refuse(group, isBusy(error) ? heldError(this.#name, { cause: error }) : asStorageError(error));
  }

  #refuse(operations: readonly Pending[], error: unknown): void {
    for (const operation of operations) operation.reject(error);
  }
}
