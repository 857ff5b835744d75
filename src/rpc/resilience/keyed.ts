// State of a guard for each key. Callers choose keys, so there are at most so many: idle ones go after ten minutes, the longest unused ones
// when it is full.

const MAX_KEYS = 10_000;
const IDLE_MS = 600_000;
/** Looked for idle ones at most so often. */
const SWEEP_MS = 60_000;
const LOOK_AT = 100;

interface Entry<T> {
  readonly state: T;
  usedAt: number;
}

export class Keyed<T> {
  /** The longest unused comes first. */
  readonly #entries = new Map<string, Entry<T>>();
  #sweptAt = 0;

  constructor(
    private readonly make: (key: string) => T,
    /** Goes before others that are in use. */
    private readonly isIdle: (state: T) => boolean = () => true,
    private readonly now: () => number = () => performance.now(),
  ) {}

  get(key: string): T {
    const now = this.now();
    this.#sweep(now);
    const known = this.#entries.get(key);
    if (known !== undefined) {
      // Moved to the end once in a while: to do so at each call would cost more than the order is worth.
      if (now - known.usedAt > 1_000) {
        this.#entries.delete(key);
        this.#entries.set(key, known);
        known.usedAt = now;
      }
      return known.state;
    }
    if (this.#entries.size >= MAX_KEYS) this.#evict();
    const entry = { state: this.make(key), usedAt: now };
    this.#entries.set(key, entry);
    return entry.state;
  }

  peek(key: string): T | undefined {
    return this.#entries.get(key)?.state;
  }

  *[Symbol.iterator](): Iterator<readonly [key: string, state: T]> {
    for (const [key, { state }] of this.#entries) yield [key, state];
  }

  clear(): void {
    this.#entries.clear();
  }

  get size(): number {
    return this.#entries.size;
  }

  #sweep(now: number): void {
    if (now - this.#sweptAt < SWEEP_MS) return;
    this.#sweptAt = now;
    for (const [key, { state, usedAt }] of this.#entries)
      if (now - usedAt > IDLE_MS && this.isIdle(state)) this.#entries.delete(key);
  }

  /** The longest unused that is idle; when none of the oldest is, the oldest. */
  #evict(): void {
    let looked = 0;
    let oldest: string | undefined;
    for (const [key, { state }] of this.#entries) {
      oldest ??= key;
      if (this.isIdle(state)) {
        oldest = key;
        break;
      }
      if (++looked >= LOOK_AT) break;
    }
    if (oldest !== undefined) this.#entries.delete(oldest);
  }
}
