// Moves the write-ahead log into the database file apart from the commits that people wait for: the bulk in a worker thread with
// a connection of its own, and only the small rest that arrived meanwhile on this thread, so that the log can start over.
import type { Database } from "bun:sqlite";
import { statSync } from "node:fs";
import type { Logger } from "pino";
import type { CheckpointAnswer } from "./checkpoint-worker.ts";

/** Log size above which the worker is asked to move it. SQLite's own default is 1,000 pages, which is 4 MiB. */
const WORKER_BYTES = 4 * 1024 * 1024;
/** Log size above which the rest is finished on this thread even while commits keep coming. */
const FINISH_BYTES = 32 * 1024 * 1024;
const LOOK_EVERY_MS = 250;

export class Checkpointer {
  #timer: Timer | undefined;
  #worker: Worker | undefined;
  #busy: Promise<void> | undefined;
  #stopped = false;

  constructor(
    private readonly sqlite: Database,
    private readonly path: string,
    private readonly log: Logger,
  ) {}

  /** To be called after each commit: cheap, looks at the file at most four times a second. */
  committed(): void {
    if (this.#timer !== undefined || this.#stopped) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#look();
    }, LOOK_EVERY_MS);
    this.#timer.unref();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#busy;
    this.#worker?.terminate();
    this.#worker = undefined;
  }

  #look(): void {
    if (this.#busy !== undefined || this.#stopped || this.#size() < WORKER_BYTES) return;
    this.#busy = this.#moveBulk()
      .then((answer) => this.#finish(answer))
      .catch((error: unknown) => this.#failed(error))
      .finally(() => {
        this.#busy = undefined;
      });
  }

  #moveBulk(): Promise<CheckpointAnswer> {
    // The path is resolved by the bundler: the worker is embedded in the executable as an entry of its own (build.ts).
    this.#worker ??= new Worker(new URL("./checkpoint-worker.ts", import.meta.url).href);
    const worker = this.#worker;
    worker.unref();
    return new Promise((resolve, reject) => {
      worker.onmessage = (event: MessageEvent<CheckpointAnswer>) => resolve(event.data);
      worker.onerror = (event) => reject(new Error(event.message));
      worker.postMessage({ path: this.path });
    });
  }

  #finish(answer: CheckpointAnswer): void {
    if ("error" in answer) throw new Error(answer.error);
    this.#moveRest();
  }

  /** A worker that has failed never answers again: the next look starts another, and the log stays bounded meanwhile. */
  #failed(error: unknown): void {
    this.log.warn({ err: error }, "checkpoint failed; it will be tried again");
    this.#worker?.terminate();
    this.#worker = undefined;
    try {
      this.#moveRest();
    } catch (again) {
      this.log.warn({ err: again }, "checkpoint failed on the main thread too");
    }
  }

  #moveRest(): void {
    if (this.#size() >= FINISH_BYTES && !this.sqlite.inTransaction)
      this.sqlite.run("PRAGMA wal_checkpoint(PASSIVE)");
  }

  #size(): number {
    try {
      return statSync(`${this.path}-wal`).size;
    } catch {
      return 0;
    }
  }
}
