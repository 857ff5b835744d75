// The end of a turn of the event loop: each writer that got something in the turn is asked once to write it, however often it got
// something. With a thousand clients and a burst of messages this is one system call a client instead of one a message. It comes after
// the promises that what happened in the turn has settled, so that acknowledgements go along.

export interface Flushable {
  /** Writes what it holds back. May be called when it holds nothing. */
  flush(): void;
}

/** More than this is not held back: it is written at once, within the turn. */
const MAX_HELD_BACK = 16 * 1024 * 1024;

export class EndOfTurn {
  #waiting: Flushable[] = [];
  #bytes = 0;

  /** `failed` hears of a writer's error. */
  constructor(
    private readonly failed: (error: unknown) => void,
    private readonly maxHeldBack = MAX_HELD_BACK,
  ) {}

  /** What waits for the end of the turn. */
  get heldBytes(): number {
    return this.#bytes;
  }

  /** At most once a turn for each. */
  add(flushable: Flushable): void {
    if (this.#waiting.length === 0) setImmediate(() => this.flush());
    this.#waiting.push(flushable);
  }

  /** So much more waits for the end of the turn; negative for what was written before it. */
  grew(bytes: number): void {
    this.#bytes = Math.max(0, this.#bytes + bytes);
    if (this.#bytes > this.maxHeldBack) this.flush();
  }

  /** The turn ends now, for what it has so far. One writer that fails costs no other its frames. */
  flush(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#bytes = 0;
    for (const flushable of waiting) {
      try {
        flushable.flush();
      } catch (error) {
        this.failed(error);
      }
    }
  }
}
