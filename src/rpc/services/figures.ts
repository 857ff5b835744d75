// What each method did since the start: calls, errors, and how long they took. Bounded: registered methods only, and of durations a count for
// each step of a logarithmic scale.

/** A step is 10 %: what is told of a duration is at most so much off. */
const BASE = Math.log(1.1);
/** From 0.01 ms up to about a day. */
const FIRST_MS = 0.01;
const STEPS = 240;

export class Durations {
  readonly #counts = new Uint32Array(STEPS);
  #total = 0;

  add(ms: number): void {
    const step = Math.ceil(Math.log(Math.max(ms, FIRST_MS) / FIRST_MS) / BASE);
    const at = Math.min(STEPS - 1, Math.max(0, step));
    this.#counts[at] = (this.#counts[at] ?? 0) + 1;
    this.#total++;
  }

  /** In milliseconds; 0 before anything was added. `share` of all took at most so long. */
  quantile(share: number): number {
    let left = Math.max(1, Math.ceil(this.#total * share));
    if (this.#total === 0) return 0;
    for (let at = 0; at < STEPS; at++) {
      left -= this.#counts[at] ?? 0;
      if (left <= 0) return Number((FIRST_MS * Math.exp(at * BASE)).toPrecision(3));
    }
    return 0;
  }
}

interface Figures {
  calls: number;
  errors: number;
  readonly durations: Durations;
}

export interface MethodFigures {
  readonly method: string;
  readonly calls: number;
  readonly errors: number;
  readonly p50_ms: number;
  readonly p99_ms: number;
}

export class CallFigures {
  readonly #methods = new Map<string, Figures>();

  /** Of a method that was found. */
  ended(method: string, isError: boolean, ms: number): void {
    let figures = this.#methods.get(method);
    if (figures === undefined) {
      figures = { calls: 0, errors: 0, durations: new Durations() };
      this.#methods.set(method, figures);
    }
    figures.calls++;
    if (isError) figures.errors++;
    figures.durations.add(ms);
  }

  /** By name. Those that are gone are forgotten. */
  list(isThere: (method: string) => boolean): MethodFigures[] {
    for (const method of [...this.#methods.keys()]) if (!isThere(method)) this.#methods.delete(method);
    return [...this.#methods]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([method, { calls, errors, durations }]) => ({
        method,
        calls,
        errors,
        p50_ms: durations.quantile(0.5),
        p99_ms: durations.quantile(0.99),
      }));
  }
}
