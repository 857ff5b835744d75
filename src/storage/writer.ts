// Group commit. All writes of one event-loop turn share one transaction; after it has committed, announcements run in commit
// order, and only then is anybody told "done". So nothing is acknowledged or announced that a crash could take back, and
// nothing that reveals a change leaves the process before the announcements of every earlier change.
import type { Database } from "bun:sqlite";
import type { Logger } from "pino";
import { asStorageError, StorageError } from "./errors.ts";
import type { Db } from "./query.ts";

interface Pending {
  readonly announce: () => void;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export class Writer {
  #group: Pending[] = [];
  #open = false;
  #closed = false;
  #working = false;
  readonly #statements;

  constructor(
    private readonly sqlite: Database,
    private readonly db: Db,
    private readonly log: Logger,
    /** Called after every commit, for the checkpointer. */
    private readonly onCommit: () => void = () => {},
  ) {
    this.#statements = {
      begin: sqlite.prepare("BEGIN IMMEDIATE"),
      commit: sqlite.prepare("COMMIT"),
      savepoint: sqlite.prepare("SAVEPOINT operation"),
      release: sqlite.prepare("RELEASE operation"),
      undo: sqlite.prepare("ROLLBACK TO operation"),
    };
  }

  /** Operations of this turn that wait for their commit. */
  get depth(): number {
    return this.#group.length;
  }

  /**
   * Runs `work` at once inside the turn's transaction: one atomic operation, undone alone when it throws.
   * `announce` gets the result synchronously after the commit, before any later operation's announcement.
   * Resolves after the commit and after the announcements of the whole group.
   * @throws whatever `work` throws; StorageError when the disk refuses.
   */
  run<T>(work: (db: Db) => T, announce?: (result: T) => void): Promise<T> {
    if (this.#closed) return Promise.reject(new StorageError("closed", "The server is stopping."));
    if (this.#working) return Promise.reject(new Error("A store operation may not start another one."));
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    try {
      this.#begin();
      const result = this.#attempt(work);
      this.#group.push({
        announce: () => announce?.(result),
        resolve: () => resolve(result),
        reject,
      });
    } catch (error) {
      reject(asStorageError(error));
      // A full disk can make SQLite drop the whole transaction, and with it the turn's earlier operations.
      if (this.#open && !this.sqlite.inTransaction) this.#fail(error);
    }
    return promise;
  }

  /** Resolves when everything that was run so far is committed (or was refused). */
  barrier(): Promise<void> {
    return this.#open ? this.run(() => undefined) : Promise.resolve();
  }

  /** Commits the turn's transaction now. Called by the scheduled turn end, and before closing. */
  flush(): void {
    if (!this.#open) return;
    this.#open = false;
    const group = this.#group;
    this.#group = [];
    try {
      this.#statements.commit.run();
    } catch (error) {
      if (this.sqlite.inTransaction) this.sqlite.run("ROLLBACK");
      this.#reject(group, error);
      return;
    }
    this.onCommit();
    for (const { announce } of group) {
      try {
        announce();
      } catch (error) {
        this.log.error({ err: error }, "an announcement failed; its change is stored");
      }
    }
    for (const { resolve } of group) resolve();
  }

  /** Commits what is there and refuses everything later. */
  close(): void {
    this.flush();
    this.#closed = true;
    for (const statement of Object.values(this.#statements)) statement.finalize();
  }

  #begin(): void {
    if (this.#open) return;
    this.#statements.begin.run();
    this.#open = true;
    setImmediate(() => this.flush());
  }

  #attempt<T>(work: (db: Db) => T): T {
    this.#statements.savepoint.run();
    this.#working = true;
    try {
      const result = work(this.db);
      this.#statements.release.run();
      return result;
    } catch (error) {
      if (this.sqlite.inTransaction) {
        this.#statements.undo.run();
        this.#statements.release.run();
      }
      throw error;
    } finally {
      this.#working = false;
    }
  }

  #fail(error: unknown): void {
    this.#open = false;
    const group = this.#group;
    this.#group = [];
    this.#reject(group, error);
  }

  #reject(group: readonly Pending[], error: unknown): void {
    this.log.error(
      { err: error, operations: group.length },
      "the disk refused a transaction; its operations were undone",
    );
    for (const { reject } of group) reject(asStorageError(error));
  }
}
