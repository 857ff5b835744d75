// How far a stream may be ahead of what its client has acknowledged (contract 7.6): so many frames of data, heartbeats not counted. A window
// of 0 never waits.

export class AckWindow {
  /** Sequence numbers of data frames that were not acknowledged, ascending. */
  readonly #open: number[] = [];
  #acked = 0;
  #wake: (() => void) | undefined;

  constructor(private readonly size: number) {}

  get acked(): number {
    return this.#acked;
  }

  get isFull(): boolean {
    return this.size > 0 && this.#open.length >= this.size;
  }

  sent(sequence: number): void {
    if (this.size > 0) this.#open.push(sequence);
  }

  /** Everything up to `sequence`. Less than before changes nothing. */
  ack(sequence: number): void {
    if (sequence <= this.#acked) return;
    this.#acked = sequence;
    while ((this.#open[0] ?? Number.POSITIVE_INFINITY) <= sequence) this.#open.shift();
    if (this.isFull) return;
    this.#wake?.();
    this.#wake = undefined;
  }

  /** Resolves when there is room; false: not within the time. For one waiter at a time. */
  room(boundMs: number): Promise<boolean> {
    if (!this.isFull) return Promise.resolve(true);
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#wake = undefined;
        resolve(false);
      }, boundMs);
      this.#wake = () => {
        clearTimeout(timer);
        resolve(true);
      };
    });
  }
}
