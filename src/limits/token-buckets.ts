// Token buckets by key: so many calls at once, then so many a second, by the monotonic clock. In memory and bounded: a restart forgets,
// and of too many keys those that called least lately.

export interface BucketSize {
  /** Calls that may come at once. */
  readonly burst: number;
  readonly perSecond: number;
}

const MAX_KEYS = 20_000;

export class TokenBuckets {
  /** Least lately used first. */
  readonly #buckets = new Map<string, { calls: number; at: number }>();
  /** Asked each time: it may change while the server runs. */
  private readonly size: () => BucketSize;

  constructor(
    size: BucketSize | (() => BucketSize),
    private readonly now: () => number = () => performance.now(),
    private readonly maxKeys = MAX_KEYS,
  ) {
    this.size = typeof size === "function" ? size : () => size;
  }

  /**
   * Takes one call, or as many as `cost` says at once. Undefined when they are within the limit, else the milliseconds until they are.
   * What is larger than the burst passes when the bucket is full.
   */
  exceeded(key: string, cost = 1): number | undefined {
    const { burst, perSecond } = this.size();
    const needed = Math.min(cost, burst);
    const now = this.now();
    const known = this.#buckets.get(key);
    const gained = known === undefined ? 0 : (Math.max(0, now - known.at) / 1000) * perSecond;
    const calls = known === undefined ? burst : Math.min(burst, known.calls + gained);
    this.#buckets.delete(key);
    this.#buckets.set(key, { calls: calls >= needed ? calls - needed : calls, at: now });
    if (this.#buckets.size > this.maxKeys) {
      for (const oldest of this.#buckets.keys()) {
        this.#buckets.delete(oldest);
        break;
      }
    }
    return calls >= needed ? undefined : Math.ceil(((needed - calls) / perSecond) * 1000);
  }

  /** Keys remembered. */
  get keys(): number {
    return this.#buckets.size;
  }
}
