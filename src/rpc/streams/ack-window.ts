// How far a stream may be ahead of what its client has acknowledged (contract 7.6, 7.9): so many frames of data, whatever other frames go
// out between them. A window of 0 never waits. Holds no more numbers than the window is large.

export class AckWindow {
  /** Sequence numbers of data frames that were not acknowledged, ascending from `#first` on. */
  #open: number[] = [];
  #first = 0;
  #acked = 0;
  #waiting: { readonly settle: (isOpen: boolean) => void; timer: Timer } | undefined;

  constructor(
    private readonly size: number,
    /** So long may nothing be acknowledged while the stream waits for it. */
    private readonly maxIdleMs: number,
  ) {}

  get acked(): number {
    return this.#acked;
  }

  get isFull(): boolean {
    return this.size > 0 && this.#open.length - this.#first >= this.size;
  }

  sent(sequence: number): void {
    if (this.size > 0) this.#open.push(sequence);
  }

  /** Everything up to `sequence`. Less than before changes nothing. */
  ack(sequence: number): void {
    if (sequence <= this.#acked) return;
    this.#acked = sequence;
    while ((this.#open[this.#first] ?? Number.POSITIVE_INFINITY) <= sequence) this.#first++;
    if (this.#first * 2 >= this.#open.length) {
      this.#open = this.#open.slice(this.#first);
      this.#first = 0;
    }
    if (!this.isFull) this.#end(true);
    else if (this.#waiting !== undefined) this.#arm();
  }

  /** Resolves when there is room; false: nothing was acknowledged for too long. For one waiter at a time. */
  room(): Promise<boolean> {
    if (!this.isFull) return Promise.resolve(true);
    const { promise, resolve } = Promise.withResolvers<boolean>();
    this.#waiting = { settle: resolve, timer: undefined as never };
    this.#arm();
    return promise;
  }

  /** The stream is over: nobody waits any more. */
  close(): void {
    this.#end(true);
    this.#open = [];
    this.#first = 0;
  }

  #arm(): void {
    if (this.#waiting === undefined) return;
    clearTimeout(this.#waiting.timer);
    this.#waiting.timer = setTimeout(() => this.#end(false), this.maxIdleMs);
  }

  #end(isOpen: boolean): void {
    if (this.#waiting === undefined) return;
    clearTimeout(this.#waiting.timer);
    this.#waiting.settle(isOpen);
    this.#waiting = undefined;
  }
}
