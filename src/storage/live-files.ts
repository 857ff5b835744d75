// Whether the files under a database's names are still those that this process opened. When another program has replaced or deleted
// one, SQLite goes on writing where nobody will ever read, so nothing may be acknowledged any more. Looks by path and opens nothing.
import { type BigIntStats, statSync } from "node:fs";

/** "unseen": the system does not let us look, so nothing is known. */
export type Standing = "ours" | "missing" | "replaced" | "unseen";

/** Names of the database file, its write-ahead log and that log's index. */
const PARTS = ["database", "log", "index"] as const;
export type Part = (typeof PARTS)[number];

export const pathOf = (path: string, part: Part): string =>
  part === "database" ? path : `${path}${part === "log" ? "-wal" : "-shm"}`;

export interface Seen {
  readonly dev: bigint;
  readonly ino: bigint;
}

export class LiveFiles {
  readonly #opened: Readonly<Record<Part, Seen | undefined>>;
  #databaseAt: string | undefined;
  #seenAt = performance.now();
  /** When it was last seen as it was before, while it has changed since. */
  #changedAfter: number | undefined;
  #logAt: bigint | undefined;

  /** To be made once a connection has read: the log and its index are then there. */
  constructor(private readonly path: string) {
    const seen = (part: Part) => {
      const found = look(pathOf(path, part));
      return found === undefined || found instanceof Error ? undefined : { dev: found.dev, ino: found.ino };
    };
    this.#opened = { database: seen("database"), log: seen("log"), index: seen("index") };
    this.areOurs();
  }

  /** The two that hold data: cheap enough for every commit, about 3 microseconds. */
  areOurs(): boolean {
    const log = this.#look("log");
    const database = this.#look("database");
    if (isLost(log.standing) || isLost(database.standing)) return false;
    if (log.at !== undefined) this.#logAt = log.at.mtimeNs;
    if (database.at !== undefined) {
      const stamp = stampOf(database.at);
      if (this.#databaseAt !== undefined && stamp !== this.#databaseAt) this.#changedAfter ??= this.#seenAt;
      this.#databaseAt = stamp;
    }
    this.#seenAt = performance.now();
    return true;
  }

  /** What was opened under a name; undefined when the system did not let us look. */
  opened(part: Part): Seen | undefined {
    return this.#opened[part];
  }

  /** How each of the three stands. */
  standings(): Readonly<Record<Part, Standing>> {
    return {
      database: this.#look("database").standing,
      log: this.#look("log").standing,
      index: this.#look("index").standing,
    };
  }

  /** The first of the three that is no longer ours, for a sentence. */
  lost(): Part | undefined {
    const standings = this.standings();
    return PARTS.find((part) => isLost(standings[part]));
  }

  /** Why the files cannot be looked at; undefined when they can. */
  unseen(): Error | undefined {
    const found = look(this.path);
    return found instanceof Error ? found : undefined;
  }

  /** When the log was last written, as of the last look. */
  get logWrittenAt(): bigint | undefined {
    return this.#logAt;
  }

  /** From when on the database file was written, when it was at all since the last call. */
  takeChange(): number | undefined {
    const after = this.#changedAfter;
    this.#changedAfter = undefined;
    return after;
  }

  /** When everything was last ours, from performance.now(). */
  get seenAt(): number {
    return this.#seenAt;
  }

  /** Whether the database file is as it was when everything was last ours: nobody has moved another log into it. */
  isDatabaseUntouched(): boolean {
    return stampOf(this.#look("database").at) === this.#databaseAt;
  }

  #look(part: Part): { standing: Standing; at?: BigIntStats } {
    const opened = this.#opened[part];
    const found = look(pathOf(this.path, part));
    if (opened === undefined || found instanceof Error) return { standing: "unseen" };
    if (found === undefined) return { standing: "missing" };
    return {
      standing: found.ino === opened.ino && found.dev === opened.dev ? "ours" : "replaced",
      at: found,
    };
  }
}

const isLost = (standing: Standing) => standing === "missing" || standing === "replaced";

const stampOf = (stats: BigIntStats | undefined) => stats && `${stats.mtimeNs} ${stats.size}`;

function look(path: string): BigIntStats | Error | undefined {
  try {
    return statSync(path, { bigint: true, throwIfNoEntry: false });
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}
