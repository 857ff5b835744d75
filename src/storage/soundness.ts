// Looks through a whole database after a part of it could not be read, or another program has written into its file: in a thread of
// its own, one look at a time, and not again before a while has passed, because a look costs as much as the database is large.
import type { Logger } from "pino";
import type { SoundnessAnswer } from "./soundness-worker.ts";

/** Between the end of one look and the next, while damage is known. */
const REST_MS = 30_000;
/** A mere suspicion costs a hundredth of the time at most: some programs, such as replicators, write into the file all the time. */
const SUSPICION_SHARE = 100;

export class Soundness {
  #worker: Worker | undefined;
  #timer: Timer | undefined;
  #begunAt = 0;
  #notBefore = 0;
  #noSuspicionBefore = 0;
  /** Looks until one has passed, because a part could not be read. */
  #insists = false;
  /** What is looked at now may have been read before the damage. */
  #again = false;
  #stopped = false;

  constructor(
    private readonly path: string,
    private readonly log: Logger,
    /** What a look has found; undefined for nothing. */
    private readonly found: (problem: string | undefined) => void,
    private readonly restMs = REST_MS,
  ) {}

  /** A part could not be read: looks now, or when the rest is over, until a look has passed. */
  look(): void {
    this.#insists = true;
    if (this.#worker === undefined) this.#schedule();
    else this.#again = true;
  }

  /** Something may be wrong: looks once, unless that would cost too much. */
  suspect(): void {
    if (this.#worker === undefined && performance.now() >= this.#noSuspicionBefore) this.#schedule();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#worker?.terminate();
    this.#worker = undefined;
  }

  #schedule(): void {
    if (this.#stopped || this.#timer !== undefined) return;
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined;
        this.#begin();
      },
      Math.max(0, this.#notBefore - performance.now()),
    );
    this.#timer.unref();
  }

  #begin(): void {
    const worker = new Worker(new URL("./soundness-worker.ts", import.meta.url).href);
    this.#worker = worker;
    this.#begunAt = performance.now();
    worker.unref();
    worker.onmessage = (event: MessageEvent<SoundnessAnswer>) => this.#ended(worker, event.data);
    worker.onerror = (event) => this.#ended(worker, { error: event.message });
    worker.addEventListener("close", () => this.#ended(worker, { error: "its thread ended without a word" }));
    worker.postMessage({ path: this.path });
  }

  #ended(worker: Worker, answer: SoundnessAnswer): void {
    if (this.#worker !== worker) return;
    this.#worker = undefined;
    worker.terminate();
    const now = performance.now();
    this.#notBefore = now + this.restMs;
    this.#noSuspicionBefore = now + Math.max(this.restMs, SUSPICION_SHARE * (now - this.#begunAt));
    if ("error" in answer)
      this.log.warn({ problem: answer.error }, "the database could not be looked through");
    else this.#judge(answer.problem);
    if (this.#insists) this.#schedule();
  }

  #judge(problem: string | undefined): void {
    const isStale = this.#again;
    this.#again = false;
    if (problem !== undefined) {
      this.#insists = true;
      this.log.error({ problem }, "the database is damaged; a backup must be restored");
      this.found(problem);
    } else if (!isStale) {
      this.#insists = false;
      this.found(undefined);
    }
  }
}
