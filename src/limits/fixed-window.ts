// Counts calls by key in fixed windows of time, for limits on how often somebody may call. By the monotonic clock: a corrected wall
// clock locks nobody out and lets nobody in. In memory and bounded: a restart forgets, and of too many keys the one that began first.

/** Keys are looked through for ended windows when there are this many, and then at most once a window. */
const MANY = 1_000;
const MAX_KEYS = 20_000;

export class FixedWindow {
  readonly #windows = new Map<string, { calls: number; endsAt: number }>();
  #sweptAt = 0;

  constructor(
    private readonly limit: number,
    private readonly windowMs: number,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** Counts one call. Undefined when it is within the limit (of this key), else the milliseconds until the next one is. */
  exceeded(key: string, limit = this.limit): number | undefined {
    const now = this.now();
    this.#sweep(now);
    const window = this.#windows.get(key);
    if (window === undefined || window.endsAt <= now) {
      this.#windows.delete(key);
      this.#windows.set(key, { calls: 1, endsAt: now + this.windowMs });
      this.#trim();
      return undefined;
    }
    return ++window.calls > limit ? window.endsAt - now : undefined;
  }

  /** Takes one counted call back: it turned out not to be of the kind that is limited. */
  refund(key: string): void {
    const window = this.#windows.get(key);
    if (window !== undefined && window.calls > 0) window.calls--;
  }

  /** Keys remembered. */
  get size(): number {
    return this.#windows.size;
  }

  #trim(): void {
    for (const oldest of this.#windows.keys()) {
      if (this.#windows.size <= MAX_KEYS) return;
      this.#windows.delete(oldest);
    }
  }

  #sweep(now: number): void {
    if (this.#windows.size < MANY || now - this.#sweptAt < this.windowMs) return;
    this.#sweptAt = now;
    for (const [key, { endsAt }] of this.#windows) if (endsAt <= now) this.#windows.delete(key);
  }
}
