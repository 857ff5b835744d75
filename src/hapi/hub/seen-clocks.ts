// What the wall clock has said within the last day of this process: a clock that is set a day ahead makes nothing old that came a minute
// ago. Whoever stamps a file looks at it here; the file is then a day old by `earliest` only when a day has really gone by.

export interface Clocks {
  /** Unix milliseconds, as the machine says. */
  readonly now: () => number;
  /** Milliseconds that never step. */
  readonly steady: () => number;
}

const SYSTEM: Clocks = { now: Date.now, steady: () => performance.now() };
/** What is apart by less is one clock: the two that are compared drift, and each step is one more to remember. */
const GRAIN_MS = 60_000;

export class SeenClocks {
  /** The one furthest behind first; each after it was seen later. */
  #seen: { readonly offset: number; readonly at: number }[] = [];

  constructor(
    private readonly windowMs: number,
    private readonly clocks: Clocks = SYSTEM,
  ) {}

  steady(): number {
    return this.clocks.steady();
  }

  /** Unix milliseconds, for what is stamped now. */
  look(): number {
    const [now, at] = [this.clocks.now(), this.clocks.steady()];
    const offset = Math.floor((now - at) / GRAIN_MS) * GRAIN_MS;
    this.#seen = this.#seen.filter((seen) => seen.at > at - this.windowMs && seen.offset < offset);
    this.#seen.push({ offset, at });
    return now;
  }

  /** What the clock that is furthest behind would say now. */
  earliest(): number {
    this.look();
    return this.clocks.steady() + (this.#seen[0]?.offset ?? 0);
  }
}
