// Counts calls by key in fixed windows of time, for limits on how often somebody may call. In memory: a restart forgets.

/** Keys are looked through for ended windows when there are this many, and then at most once a window. */
const MANY = 1_000;

export class FixedWindow {
  readonly #windows = new Map<string, { calls: number; endsAt: number }>();
  #sweptAt = 0;

  constructor(
    private readonly limit: number,
    private readonly windowMs: number,
    private readonly now: () => number = Date.now,
  ) {}

  /** Counts one call. Undefined when it is within the limit, else the milliseconds until the next one is. */
  exceeded(key: string): number | undefined {
    const now = this.now();
    this.#sweep(now);
    const window = this.#windows.get(key);
    if (window === undefined || window.endsAt <= now) {
      this.#windows.set(key, { calls: 1, endsAt: now + this.windowMs });
      return undefined;
    }
    return ++window.calls > this.limit ? window.endsAt - now : undefined;
  }

  /** Takes one counted call back: it turned out not to be of the kind that is limited. */
  giveBack(key: string): void {
    const window = this.#windows.get(key);
    if (window !== undefined && window.calls > 0) window.calls--;
  }

  /** Keys remembered. */
  get size(): number {
    return this.#windows.size;
  }

  #sweep(now: number): void {
    if (this.#windows.size < MANY || now - this.#sweptAt < this.windowMs) return;
    this.#sweptAt = now;
    for (const [key, { endsAt }] of this.#windows) if (endsAt <= now) this.#windows.delete(key);
  }
}
