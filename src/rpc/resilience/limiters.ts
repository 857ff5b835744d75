// The three algorithms of a rate limit (contract 12.2), each for one key. Time is handed in, in milliseconds that only rise.

export interface LimitSettings {
  readonly algorithm: "token_bucket" | "sliding_window" | "fixed_window";
  /** Calls in a second. */
  readonly rate: number;
  /** Of the bucket: calls at once. */
  readonly burst: number;
}

export interface Taken {
  readonly isAllowed: boolean;
  readonly limit: number;
  /** Calls that are left now. */
  readonly remaining: number;
  /** Allowed: until all are back. Refused: until the next one is. */
  readonly resetInMs: number;
}

export interface Limiter {
  take(now: number): Taken;
}

const WINDOW_MS = 1_000;

export function limiter(settings: LimitSettings): Limiter {
  if (settings.algorithm === "token_bucket") return new TokenBucketLimiter(settings);
  return settings.algorithm === "fixed_window" ? new FixedWindow(settings) : new SlidingWindow(settings);
}

class TokenBucketLimiter implements Limiter {
  #tokens: number;
  #at = Number.NEGATIVE_INFINITY;

  constructor(private readonly settings: LimitSettings) {
    this.#tokens = settings.burst;
  }

  take(now: number): Taken {
    const { rate, burst } = this.settings;
    const perMs = rate / 1_000;
    if (this.#at > Number.NEGATIVE_INFINITY)
      this.#tokens = Math.min(burst, this.#tokens + Math.max(0, now - this.#at) * perMs);
    this.#at = now;
    if (this.#tokens < 1)
      return { isAllowed: false, limit: burst, remaining: 0, resetInMs: (1 - this.#tokens) / perMs };
    this.#tokens -= 1;
    return {
      isAllowed: true,
      limit: burst,
      remaining: Math.floor(this.#tokens),
      resetInMs: (burst - this.#tokens) / perMs,
    };
  }
}

/** Of windows the limit is a whole number of calls. */
const callsOf = ({ rate }: LimitSettings): number => Math.max(1, Math.floor(rate));

/** A rate below one a second has a window that is longer. */
const windowOf = ({ rate }: LimitSettings): number => (rate >= 1 ? WINDOW_MS : WINDOW_MS / rate);

class FixedWindow implements Limiter {
  #begins = Number.NEGATIVE_INFINITY;
  #count = 0;

  constructor(private readonly settings: LimitSettings) {}

  take(now: number): Taken {
    const limit = callsOf(this.settings);
    const windowMs = windowOf(this.settings);
    if (now - this.#begins >= windowMs) {
      this.#begins = now;
      this.#count = 0;
    }
    const resetInMs = this.#begins + windowMs - now;
    if (this.#count >= limit) return { isAllowed: false, limit, remaining: 0, resetInMs };
    this.#count++;
    return { isAllowed: true, limit, remaining: limit - this.#count, resetInMs };
  }
}

/** Exact: the times of the calls in the window, in a ring of the limit's size. */
class SlidingWindow implements Limiter {
  readonly #times: number[] = [];
  #first = 0;

  constructor(private readonly settings: LimitSettings) {}

  take(now: number): Taken {
    const limit = callsOf(this.settings);
    const windowMs = windowOf(this.settings);
    while (this.#first < this.#times.length && now - (this.#times[this.#first] ?? 0) >= windowMs)
      this.#first++;
    if (this.#first > limit) {
      this.#times.splice(0, this.#first);
      this.#first = 0;
    }
    const inside = this.#times.length - this.#first;
    const oldest = this.#times[this.#first] ?? now;
    if (inside >= limit) return { isAllowed: false, limit, remaining: 0, resetInMs: oldest + windowMs - now };
    this.#times.push(now);
    return { isAllowed: true, limit, remaining: limit - inside - 1, resetInMs: windowMs };
  }
}
