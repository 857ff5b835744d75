// Background work that comes again and again: a while after the start, then after each pause; never two rounds at once, and a stop
// waits for the one that is under way.
import type { Logger } from "pino";

const FIRST_MS = 5_000;
const HOUR_MS = 3_600_000;

export interface RoundsOptions {
  /** The pause between two rounds; an hour when it is undefined. */
  readonly everyMs?: number | undefined;
  /** `goOn` is false once the server stops. */
  readonly work: (goOn: () => boolean) => Promise<void>;
  /** What the log says of a round that failed. */
  readonly problem: string;
  readonly log: Logger;
}

export class Rounds {
  #timer: Timer | undefined;
  #round: Promise<void> | undefined;
  #stopped = false;

  constructor(private readonly options: RoundsOptions) {}

  start(): void {
    this.#next(Math.min(FIRST_MS, this.options.everyMs ?? FIRST_MS));
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#round;
  }

  /** One round; a failure is told to the log and tried again at the next. */
  run(): Promise<void> {
    const { work, problem, log } = this.options;
    this.#round ??= work(() => !this.#stopped)
      .catch((error: unknown) => {
        if (!this.#stopped) log.warn({ err: error }, problem);
      })
      .finally(() => {
        this.#round = undefined;
      });
    return this.#round;
  }

  #next(ms: number): void {
    if (this.#stopped) return;
    this.#timer = setTimeout(() => {
      void this.run().then(() => this.#next(this.options.everyMs ?? HOUR_MS));
    }, ms);
    this.#timer.unref();
  }
}
