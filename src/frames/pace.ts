// The hub's part of one turn of the event loop: when it is used up, further messages wait for the next turn, so that a burst of them
// does not keep the server's other work waiting.

const SLICE_MS = 10;

export class Pace {
  /** Resolves with the next turn; undefined while this turn had no message yet. */
  #next: Promise<void> | undefined;
  #until = 0;

  /** Whether the next message has to wait for `nextTurn`. Asked before each. */
  get spent(): boolean {
    const now = performance.now();
    if (this.#next === undefined) {
      this.#until = now + SLICE_MS;
      this.#next = new Promise((resolve) => {
        setImmediate(() => {
          this.#next = undefined;
          resolve();
        });
      });
    }
    return now > this.#until;
  }

  nextTurn(): Promise<void> {
    return this.#next ?? Promise.resolve();
  }
}
