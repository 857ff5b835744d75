// The end of a turn of the event loop: whoever has something to write is asked for it once, however often it got something. With a
// thousand clients and a burst of messages this is the difference between one system call a client and one a message.

export interface Flushable {
  flush(): void;
}

export class Turn {
  #waiting: Flushable[] = [];

  /** At most once a turn for each. */
  add(flushable: Flushable): void {
    if (this.#waiting.length === 0) setImmediate(() => this.#end());
    this.#waiting.push(flushable);
  }

  #end(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const flushable of waiting) flushable.flush();
  }
}
