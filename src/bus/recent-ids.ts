// Remembers for 30 seconds what was already delivered, so that a repeated delivery is noticed; never more than a fixed number,
// the oldest forgotten first (bus contract, section 11).

export const REMEMBER_MS = 30_000;
export const MAX_REMEMBERED = 100_000;
const SWEEP_MS = 10_000;

export class RecentIds {
  /** Oldest first: entries are never refreshed. */
  readonly #until = new Map<string, number>();
  readonly #sweeper: Timer;

  constructor(
    private readonly now: () => number = () => performance.now(),
    private readonly capacity = MAX_REMEMBERED,
  ) {
    this.#sweeper = setInterval(() => this.sweep(), SWEEP_MS);
    this.#sweeper.unref();
  }

  /** True the first time; false for a repetition within 30 seconds. */
  first(key: string): boolean {
    const until = this.#until.get(key);
    if (until !== undefined) {
      if (until > this.now()) return false;
      this.#until.delete(key);
    }
    this.#until.set(key, this.now() + REMEMBER_MS);
    if (this.#until.size > this.capacity) {
      const [oldest] = this.#until.keys();
      if (oldest !== undefined) this.#until.delete(oldest);
    }
    return true;
  }

  get size(): number {
    return this.#until.size;
  }

  /** By timer, not by traffic: an idle node forgets too. */
  sweep(): void {
    const now = this.now();
    for (const [key, until] of this.#until) {
      if (until > now) return;
      this.#until.delete(key);
    }
  }

  close(): void {
    clearInterval(this.#sweeper);
    this.#until.clear();
  }
}
