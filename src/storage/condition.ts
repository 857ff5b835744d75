// What is wrong with a database, remembered until the opposite is proven: a write that failed until one has reached the disk, damage
// until a check has passed, files that were replaced for ever. What succeeds in memory proves nothing.
import type { Logger } from "pino";
import { asStorageError, codeOf, StorageError } from "./errors.ts";

/** What SQLite says when a page cannot be read or is not what it must be. */
const UNREADABLE = /^SQLITE_(CORRUPT|NOTADB|IOERR_(READ|SHORT_READ|CORRUPTFS|DATA|IN_PAGE))/;
/** What it says when it could not write. */
const UNWRITTEN = /^(SQLITE_(FULL|IOERR|READONLY|CANTOPEN|PERM|AUTH|NOLFS)|ENOSPC$|EDQUOT$)/;

export class Condition {
  #write: StorageError | undefined;
  #damage: StorageError | undefined;
  #lost: StorageError | undefined;
  #wroteAt = performance.now();

  constructor(
    private readonly log: Logger,
    private readonly on: { readonly onDamage?: () => void; readonly onFailedWrite?: () => void } = {},
  ) {}

  /** The worst that is known. */
  get problem(): StorageError | undefined {
    return this.#lost ?? this.#damage ?? this.#write;
  }

  get isDamaged(): boolean {
    return this.#damage !== undefined;
  }

  /** Milliseconds since something last reached the disk. */
  get sinceWriteMs(): number {
    return performance.now() - this.#wroteAt;
  }

  /** To be told every error of a reader; remembers those that say something about the disk. */
  noteRead(error: unknown): void {
    const code = codeOf(error);
    if (UNREADABLE.test(code)) this.#noteDamage(error, code);
  }

  /** The same for whoever also writes. */
  note(error: unknown): void {
    const code = codeOf(error);
    if (UNREADABLE.test(code)) this.#noteDamage(error, code);
    else if (UNWRITTEN.test(code)) this.#noteWrite(named(error), code);
  }

  /** A commit was refused for a reason of its own, such as a foreign lock. */
  refused(error: StorageError): void {
    this.#noteWrite(error, error.code);
  }

  /** A commit has reached the disk. */
  wrote(): void {
    this.#wroteAt = performance.now();
    if (this.#write === undefined) return;
    this.#write = undefined;
    this.log.info("the database takes writes again");
  }

  /** A check of every page has found something. */
  failedCheck(problem: string): void {
    this.#damage ??= named(Object.assign(new Error(problem), { code: "SQLITE_CORRUPT" }));
  }

  /** A check of every page has found nothing. */
  passedCheck(): void {
    if (this.#damage === undefined) return;
    this.#damage = undefined;
    this.log.info("the database was checked and is sound");
  }

  /** For ever: only another process can mend it. */
  lose(error: StorageError): void {
    this.#lost ??= error;
  }

  #noteDamage(error: unknown, code: string): void {
    if (this.#damage !== undefined) return;
    this.#damage = named(error);
    this.log.error({ err: error, code }, "a part of the database cannot be read; it is checked now");
    this.on.onDamage?.();
  }

  #noteWrite(problem: StorageError, code: string): void {
    const isNew = this.#write?.code !== problem.code;
    this.#write = problem;
    this.on.onFailedWrite?.();
    if (isNew) this.log.error({ code }, `the database does not take writes: ${problem.message}`);
  }
}

function named(error: unknown): StorageError {
  const known = asStorageError(error);
  if (known instanceof StorageError) return known;
  return new StorageError("failed", "The database cannot be written: nothing was stored.", { cause: error });
}
