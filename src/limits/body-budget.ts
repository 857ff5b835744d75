// Bounds the bytes of request bodies that are in memory at one time, of all clients together. Only what has arrived counts, so
// that promises of slow clients cannot keep others out.

/** Nothing of the body is kept; the client may come again. */
export class OverBudget extends Error {}

export class BodyBudget {
  #held = 0;

  /** `limitBytes` is asked each time: it may change while the server runs. */
  constructor(private readonly limitBytes: () => number) {}

  get heldBytes(): number {
    return this.#held;
  }

  /** The share of one request; give it back with `release` when the request is answered. */
  share(): BodyShare {
    let taken = 0;
    return {
      take: (bytes) => {
        // One body alone may be larger than the limit: its own limit decides then.
        if (this.#held > taken && this.#held + bytes > this.limitBytes()) throw new OverBudget();
        this.#held += bytes;
        taken += bytes;
      },
      release: () => {
        this.#held -= taken;
        taken = 0;
      },
    };
  }
}

export interface BodyShare {
  /** @throws OverBudget */
  take(bytes: number): void;
  release(): void;
}
