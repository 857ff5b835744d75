// A circuit breaker (contract 12.4): closed until so many failures come one after the other; then open for a time; then half open, where a
// few calls decide. The clock only rises.

export interface BreakerSettings {
  readonly failure_threshold: number;
  readonly success_threshold: number;
  readonly timeout_ms: number;
  readonly half_open_max_calls: number;
}

export type BreakerState = "closed" | "half_open" | "open";

export class Breaker {
  #state: BreakerState = "closed";
  #failures = 0;
  #successes = 0;
  #trials = 0;
  #openedAt = 0;
  /** Outcomes of calls that were let in before the state last changed do not count. */
  #era = 0;

  constructor(private readonly now: () => number) {}

  /** As it would decide now. */
  state({ timeout_ms }: BreakerSettings): BreakerState {
    return this.#state === "open" && this.now() - this.#openedAt >= timeout_ms ? "half_open" : this.#state;
  }

  get isIdle(): boolean {
    return this.#state === "closed" && this.#failures === 0;
  }

  /** Undefined: refused, for so many milliseconds at least. Otherwise its outcome is told once. */
  admit(settings: BreakerSettings): Admission | { readonly retryAfterMs: number } {
    if (this.#state === "open") {
      const leftMs = settings.timeout_ms - (this.now() - this.#openedAt);
      if (leftMs > 0) return { retryAfterMs: Math.ceil(leftMs) };
      this.#become("half_open");
    }
    if (this.#state === "half_open") {
      // The trials that are out decide soon; nobody knows when.
      if (this.#trials >= settings.half_open_max_calls) return { retryAfterMs: 1 };
      this.#trials++;
    }
    const era = this.#era;
    const isTrial = this.#state === "half_open";
    let isTold = false;
    const once = (work: () => void) => {
      if (isTold) return;
      isTold = true;
      if (era !== this.#era) return;
      if (isTrial) this.#trials--;
      work();
    };
    return {
      succeeded: () => once(() => this.#succeeded(settings)),
      failed: () => once(() => this.#failed(settings)),
      ignored: () => once(() => {}),
    };
  }

  #succeeded({ success_threshold }: BreakerSettings): void {
    if (this.#state === "closed") this.#failures = 0;
    else if (++this.#successes >= success_threshold) this.#become("closed");
  }

  #failed({ failure_threshold }: BreakerSettings): void {
    if (this.#state === "half_open" || ++this.#failures >= failure_threshold) this.#become("open");
  }

  #become(state: BreakerState): void {
    this.#state = state;
    this.#era++;
    this.#failures = 0;
    this.#successes = 0;
    this.#trials = 0;
    if (state === "open") this.#openedAt = this.now();
  }
}

export interface Admission {
  succeeded(): void;
  failed(): void;
  /** Neither for nor against: a mistake of the caller, a cancelled call. */
  ignored(): void;
}
