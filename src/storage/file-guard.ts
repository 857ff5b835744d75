// Stands between a database and the loss of its files: looks at them at every commit and once a second, and when one is no longer the
// one that was opened, ends all writing, saves what was acknowledged, and says that only a new process can go on. So does it when the
// disk refuses to sync the log; then nothing is saved, because what is in memory may not be what the disk has.
import type { Database as Sqlite } from "bun:sqlite";
import { existsSync } from "node:fs";
import { basename } from "node:path";
import type { Logger } from "pino";
import type { Checkpointer } from "./checkpoint.ts";
import type { Condition } from "./condition.ts";
import { neverClose } from "./end-at-once.ts";
import { StorageError, syncError } from "./errors.ts";
import { markFailedSync } from "./failed-sync.ts";
import { LiveFiles, type Part, pathOf } from "./live-files.ts";
import { putBack, rescue, rescuedFiles } from "./rescue.ts";

/** Between two looks at the files of a database that nobody writes. */
const LOOK_EVERY_MS = 1_000;

export interface FileGuardParts {
  readonly path: string;
  readonly connection: Sqlite;
  readonly condition: Condition;
  readonly checkpointer: Checkpointer;
  /** Something else than this process has written into the database file. It may have been SQLite, or not. */
  readonly onForeignWrite: () => void;
  readonly log: Logger;
}

export class FileGuard {
  readonly files: LiveFiles;
  readonly #lost = Promise.withResolvers<StorageError>();
  #problem: StorageError | undefined;
  #looking: Timer | undefined;
  #isPutBack = false;
  #isUnsynced = false;

  /** To be made once a connection has read. */
  constructor(private readonly parts: FileGuardParts) {
    this.files = new LiveFiles(parts.path);
  }

  /** Resolves once what was acknowledged is safe, as far as that can be without a long copy. */
  get lost(): Promise<StorageError> {
    return this.#lost.promise;
  }

  get problem(): StorageError | undefined {
    return this.#problem;
  }

  /** Looks once a second from now on, and calls `onLost` when a look finds something. */
  start(onLost: (problem: StorageError) => void): void {
    this.#looking = setInterval(() => {
      const problem = this.look(true);
      if (problem !== undefined) onLost(problem);
      else this.#lookForForeignWrites();
    }, LOOK_EVERY_MS);
    this.#looking.unref();
  }

  /** What is wrong with the files, noticed now or before. `all`: also the index, which holds no data. */
  look(all = false): StorageError | undefined {
    if (this.#problem !== undefined) return this.#problem;
    const dataIsOurs = this.files.areOurs();
    if (dataIsOurs && !all) return undefined;
    const part = this.files.lost();
    if (part !== undefined) this.#lose(part);
    return this.#problem;
  }

  /** The log could not be synced. @returns what everybody is told. */
  syncFailed(error: unknown): StorageError {
    if (this.#problem !== undefined) return this.#problem;
    const { path, log, condition, checkpointer } = this.parts;
    this.stop();
    const problem = syncError(basename(path), error);
    this.#problem = problem;
    this.#isUnsynced = true;
    log.fatal({ err: error, file: pathOf(path, "log") }, problem.message);
    condition.lose(problem);
    // Moves no page any more, from now on.
    void checkpointer.stop();
    markFailedSync(path, problem.message);
    setImmediate(() => this.#lost.resolve(problem));
    return problem;
  }

  stop(): void {
    clearInterval(this.#looking);
  }

  /**
   * To be asked before the connections are closed. False when they must stay open, because closing them would touch what is not ours:
   * what was acknowledged is then saved as far as possible, and the process will end without closing anything.
   */
  mayClose(): boolean {
    if (this.#isUnsynced) {
      // A close would move pages into the database that the disk may not have as they were written.
      neverClose();
      return false;
    }
    if (this.look(true) === undefined || this.#putBack()) return true;
    const { parts } = this;
    const { sentence, file } = rescue(parts.connection, this.files, parts.path);
    parts.log.fatal({ file }, sentence);
    neverClose();
    return false;
  }

  #lookForForeignWrites(): void {
    const { checkpointer, onForeignWrite } = this.parts;
    const after = this.files.takeChange();
    if (after !== undefined && !checkpointer.movedSince(after)) onForeignWrite();
  }

  #lose(part: Part): void {
    const { path, log, condition, checkpointer } = this.parts;
    this.stop();
    const problem = new StorageError(
      "replaced",
      `The file ${pathOf(basename(path), part)} was replaced or deleted while the server uses it: nothing is stored any more, and the server ends. Stop it before its files are touched.`,
    );
    this.#problem = problem;
    log.fatal({ file: pathOf(path, part) }, problem.message);
    condition.lose(problem);
    // Once the turn's transaction has ended, whoever noticed.
    setImmediate(async () => {
      await checkpointer.stop();
      if (this.#putBack())
        log.info(`everything that was acknowledged is in ${basename(path)}: nothing is lost`);
      this.#lost.resolve(problem);
    });
  }

  #putBack(): boolean {
    const { connection, checkpointer } = this.parts;
    this.#isPutBack ||= putBack(connection, this.files, checkpointer.movedSince(this.files.seenAt));
    return this.#isPutBack;
  }
}

/**
 * A database that is gone while what it held was kept must not begin anew as if nothing had been there. `isEmpty`: it is there, but
 * nothing is in it, as where another program has opened what was left of it. @throws StorageError
 */
export function refuseBesideRescue(path: string, log: Logger, isEmpty = false): void {
  const kept = rescuedFiles(path).sort();
  const newest = kept.at(-1);
  if (newest === undefined) return;
  if (isEmpty || !existsSync(path))
    throw new StorageError(
      "replaced",
      `The database ${path} is ${isEmpty ? "empty" : "gone"}, but what it held was kept as ${newest}. Rename that to ${basename(path)} to go on with it, or move it away to begin anew.`,
    );
  log.warn(
    { files: kept },
    "an earlier run has kept what it could not store in the database; compare, and then move it away",
  );
}
