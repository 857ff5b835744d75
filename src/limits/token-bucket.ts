// One token bucket: so much at once, then so much a second. On a clock that nobody sets; a size of zero is no limit.

export interface BucketSize {
  /** What may come at once. */
  readonly burst: number;
  readonly perSecond: number;
}

export class TokenBucket {
  /** Undefined until the first call: the bucket is full then, whatever its size has become. */
  #left: number | undefined;
  #at = 0;

  /** `size` is asked each time: it may change while the server runs. */
  constructor(
    private readonly size: () => BucketSize,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** Takes `cost` when there is as much; false takes nothing. What costs more than the burst waits for a full bucket. */
  take(cost = 1): boolean {
    const { burst } = this.size();
    if (burst <= 0) return true;
    const left = this.#refill();
    if (left < Math.min(cost, burst)) return false;
    this.#left = left - cost;
    return true;
  }

  /** Takes `cost` in any case: what comes next waits the longer. */
  owe(cost: number): void {
    if (this.size().burst > 0) this.#left = this.#refill() - cost;
  }

  /** Empties it, and as much again: it is a burst's time until the next. */
  exhaust(): void {
    this.#left = -this.size().burst;
    this.#at = this.now();
  }

  /** Nothing is remembered by it that a new one would not know. */
  get full(): boolean {
    const { burst } = this.size();
    return burst <= 0 || this.#refill() >= burst;
  }

  #refill(): number {
    const { burst, perSecond } = this.size();
    const now = this.now();
    const gained = ((now - this.#at) / 1_000) * perSecond;
    this.#left = this.#left === undefined ? burst : Math.min(burst, this.#left + gained);
    this.#at = now;
    return this.#left;
  }
}
