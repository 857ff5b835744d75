// The end of a turn of the event loop: each writer that got something in the turn is asked once to write it, however often it got
// something. With a thousand clients and a burst of messages this is one system call a client instead of one a message.

export interface Flushable {
  flush(): void;
}

/** More than this is not held back: it is written at once, within the turn. */
const MAX_HELD_BACK = 16 * 1024 * 1024;

export class EndOfTurn {
  #waiting: Flushable[] = [];
  #bytes = 0;

  /** At most once a turn for each. */
  add(flushable: Flushable): void {
    if (this.#waiting.length === 0) setImmediate(() => this.#end());
    this.#waiting.push(flushable);
  }

  /** So much more waits for the end of the turn. */
  grew(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes > MAX_HELD_BACK) this.#end();
  }

  #end(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#bytes = 0;
    for (const flushable of waiting) flushable.flush();
  }
}
