// Token buckets by key: so many calls at once, then so many a second. In memory and bounded: a restart forgets, and of too many keys
// those that called least lately.

export interface BucketSize {
  /** Calls that may come at once. */
  readonly burst: number;
  readonly perSecond: number;
}

const MAX_KEYS = 20_000;

export class TokenBuckets {
  /** Least lately used first. */
  readonly #buckets = new Map<string, { calls: number; at: number }>();

  constructor(
    private readonly size: BucketSize,
    private readonly now: () => number = Date.now,
    private readonly maxKeys = MAX_KEYS,
  ) {}

  /** Takes one call, or a part of one. Undefined when it is within the limit, else the milliseconds until one is. */
  exceeded(key: string, cost = 1): number | undefined {
    const { burst, perSecond } = this.size;
    const now = this.now();
    const known = this.#buckets.get(key);
    // A clock that was set back takes nothing away.
    const gained = known === undefined ? 0 : (Math.max(0, now - known.at) / 1000) * perSecond;
    const calls = known === undefined ? burst : Math.min(burst, known.calls + gained);
    this.#buckets.delete(key);
    this.#buckets.set(key, { calls: calls >= cost ? calls - cost : calls, at: now });
    if (this.#buckets.size > this.maxKeys) {
      for (const oldest of this.#buckets.keys()) {
        this.#buckets.delete(oldest);
        break;
      }
    }
    return calls >= cost ? undefined : Math.ceil(((cost - calls) / perSecond) * 1000);
  }

  /** Keys remembered. */
  get keys(): number {
    return this.#buckets.size;
  }
}
