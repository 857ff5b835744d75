// Moves the write-ahead log into the database file apart from the commits that people wait for: the bulk in a worker thread with
// a connection of its own, and only the small rest that arrived meanwhile on this thread, so that the log can start over. A worker
// that fails, dies without a word or never answers is replaced, and the log stays bounded meanwhile.
import type { Database } from "bun:sqlite";
import { statSync } from "node:fs";
import type { Logger } from "pino";
import type { CheckpointAnswer } from "./checkpoint-worker.ts";

/** Log size above which the worker is asked to move it. SQLite's own default is 1,000 pages, which is 4 MiB. */
const WORKER_BYTES = 4 * 1024 * 1024;
/** Log size above which the rest is finished on this thread even while commits keep coming. */
const FINISH_BYTES = 32 * 1024 * 1024;
const LOOK_EVERY_MS = 250;
/** A worker that has not answered by then is given up. The largest log takes a slow disk some seconds. */
const ANSWER_MS = 60_000;
/** A stop waits no longer for one that is under way: the next start goes on with the log. */
const STOP_MS = 10_000;
/** After a failure, so that a thread that dies at once is not begun four times a second. Doubles with each up to the last. */
const REST_MS = [1_000, 60_000] as const;

export interface CheckpointerOptions {
  readonly worker?: () => Worker;
  readonly answerMs?: number;
  readonly restMs?: number;
}

export class Checkpointer {
  #timer: Timer | undefined;
  #worker: Worker | undefined;
  #busy: Promise<void> | undefined;
  #giveUp: (error: Error) => void = () => {};
  #failures = 0;
  #notBefore = 0;
  #movedAt = 0;
  #stopped = false;

  constructor(
    private readonly sqlite: Database,
    private readonly path: string,
    private readonly log: Logger,
    private readonly options: CheckpointerOptions = {},
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

  /** Whether the database file may have been written by this process since `since` (performance.now()). */
  movedSince(since: number): boolean {
    return this.#busy !== undefined || this.#movedAt >= since;
  }

  /** Waits for what is under way, but not for a worker that does not answer. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    const limit = setTimeout(() => this.#giveUp(new Error("the server stops")), STOP_MS);
    await this.#busy;
    clearTimeout(limit);
    this.#worker?.terminate();
    this.#worker = undefined;
  }

  #look(): void {
    if (this.#stopped || this.#size() < WORKER_BYTES) return;
    if (this.#busy !== undefined || performance.now() < this.#notBefore) this.#moveRest();
    else this.#begin();
  }

  #begin(): void {
    this.#busy = this.#moveBulk()
      .then((answer) => this.#finish(answer))
      .catch((error: unknown) => this.#failed(error))
      .finally(() => {
        this.#busy = undefined;
        this.#movedAt = performance.now();
      });
  }

  #moveBulk(): Promise<CheckpointAnswer> {
    const { promise, resolve, reject } = Promise.withResolvers<CheckpointAnswer>();
    this.#giveUp = reject;
    const worker = this.#worker ?? this.#newThread();
    worker.onmessage = (event: MessageEvent<CheckpointAnswer>) => resolve(event.data);
    worker.postMessage({ path: this.path });
    const limit = setTimeout(
      () => reject(new Error("the thread for checkpoints does not answer")),
      this.options.answerMs ?? ANSWER_MS,
    );
    limit.unref();
    return promise.finally(() => clearTimeout(limit));
  }

  #newThread(): Worker {
    const worker = this.options.worker?.() ?? newWorker();
    this.#worker = worker;
    worker.unref();
    const failed = (reason: string) => {
      if (this.#worker !== worker) return;
      this.#worker = undefined;
      if (this.#busy === undefined)
        this.log.warn({ reason }, "the thread for checkpoints ended; another one takes its place");
      else this.#giveUp(new Error(reason));
    };
    worker.onerror = (event) => failed(event.message);
    worker.addEventListener("close", () => failed("the thread for checkpoints ended without a word"));
    return worker;
  }

  #finish(answer: CheckpointAnswer): void {
    if ("error" in answer) throw new Error(answer.error);
    this.#failures = 0;
    this.#moveRest();
  }

  /** The next look starts another worker, and the log stays bounded meanwhile. */
  #failed(error: unknown): void {
    if (!this.#stopped) this.log.warn({ err: error }, "checkpoint failed; it will be tried again");
    this.#worker?.terminate();
    this.#worker = undefined;
    const [first, last] = REST_MS;
    this.#notBefore =
      performance.now() +
      Math.min(last, (this.options.restMs ?? first) * 2 ** Math.min(this.#failures++, 10));
    this.#moveRest();
  }

  #moveRest(): void {
    if (this.#size() < FINISH_BYTES || this.sqlite.inTransaction) return;
    try {
      this.sqlite.run("PRAGMA wal_checkpoint(PASSIVE)");
      this.#movedAt = performance.now();
    } catch (error) {
      this.log.warn({ err: error }, "checkpoint failed on the main thread");
    }
  }

  #size(): number {
    try {
      return statSync(`${this.path}-wal`).size;
    } catch {
      return 0;
    }
  }
}

/** The path is resolved by the bundler: the worker is embedded in the executable as an entry of its own (build.ts). */
function newWorker(): Worker {
  return new Worker(new URL("./checkpoint-worker.ts", import.meta.url).href);
}
