// Another program has SQLite's write lock: when the next try is, and what the log says of it once it is long, and once it is over.
import type { Logger } from "pino";

/** Between two tries for the lock; the last one again and again. */
const RETRY_MS = [1, 2, 5, 10, 20] as const;
/** A lock that is held for so long is worth a line in the log. */
const TOLD_AFTER_MS = 250;

export class HeldLock {
  readonly #since = performance.now();
  #tries = 0;
  #refused = 0;
  #isTold = false;

  constructor(
    /** Of the file, as people see it. */
    private readonly name: string,
    private readonly log: Logger,
  ) {}

  /** How long it has been held. */
  get ms(): number {
    return performance.now() - this.#since;
  }

  /** Before the next try. */
  nextWaitMs(): number {
    return RETRY_MS[Math.min(this.#tries++, RETRY_MS.length - 1)] ?? 0;
  }

  /** Operations were refused for it. */
  refused(count: number): void {
    this.#refused += count;
  }

  /** To be called now and then while it is held. */
  tell(): void {
    if (this.#isTold || this.ms <= TOLD_AFTER_MS) return;
    this.#isTold = true;
    this.log.warn({ file: this.name }, "another program holds the write lock; writes wait for it");
  }

  /** It is ours again. */
  end(): void {
    if (!this.#isTold) return;
    const facts = { heldMs: Math.round(this.ms), refused: this.#refused };
    this.log.info(facts, "the write lock is free again; writes go on");
  }
}
