// Looks through a whole database after a part of it could not be read: in a thread of its own, one look at a time, and not again
// before a while has passed, because a look costs as much as the database is large.
import type { Logger } from "pino";
import type { SoundnessAnswer } from "./soundness-worker.ts";

/** Between the end of one look and the next. */
const REST_MS = 30_000;

export class Soundness {
  #worker: Worker | undefined;
  #notBefore = 0;
  #timer: Timer | undefined;
  #stopped = false;

  constructor(
    private readonly path: string,
    private readonly log: Logger,
    /** Nothing is wrong with any page. */
    private readonly passed: () => void,
    private readonly restMs = REST_MS,
  ) {}

  /** Looks now or when the rest is over, until a look has passed. */
  look(): void {
    if (this.#stopped || this.#worker !== undefined || this.#timer !== undefined) return;
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined;
        this.#begin();
      },
      Math.max(0, this.#notBefore - performance.now()),
    );
    this.#timer.unref();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#worker?.terminate();
    this.#worker = undefined;
  }

  #begin(): void {
    const worker = new Worker(new URL("./soundness-worker.ts", import.meta.url).href);
    this.#worker = worker;
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
    this.#notBefore = performance.now() + this.restMs;
    if ("problem" in answer && answer.problem === undefined) {
      this.passed();
      return;
    }
    const problem = "error" in answer ? answer.error : answer.problem;
    this.log.error(
      { problem },
      "the database is damaged; restore a backup, or the newest copy of the file that is sound",
    );
    this.look();
  }
}
