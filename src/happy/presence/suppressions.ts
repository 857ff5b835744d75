// Sessions whose heartbeats are ignored because they were just ended. Ends by itself after a while that no clock can stretch, or as
// soon as the session is opened again, or its next process speaks (realtime contract 10.2).

interface Suppression {
  /** By the monotonic clock. */
  readonly until: number;
  /** Place of the end among all connections. */
  readonly seq: number;
}

export class Suppressions {
  readonly #byKey = new Map<string, Suppression>();

  constructor(private readonly lastMs: number) {}

  begin(key: string, seq: number): void {
    this.#byKey.set(key, { until: performance.now() + this.lastMs, seq });
  }

  lift(key: string): void {
    this.#byKey.delete(key);
  }

  /** Lifts it when what came at `seq` came after the end. */
  liftBefore(key: string, seq: number): void {
    if ((this.#byKey.get(key)?.seq ?? Number.POSITIVE_INFINITY) < seq) this.#byKey.delete(key);
  }

  holds(key: string): boolean {
    return (this.#byKey.get(key)?.until ?? 0) > performance.now();
  }

  forgetOld(): void {
    const now = performance.now();
    for (const [key, { until }] of this.#byKey) if (until <= now) this.#byKey.delete(key);
  }
}
