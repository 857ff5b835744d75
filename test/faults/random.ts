// Chance that can be repeated: a seeded generator for faults. The seed is printed, and FAULT_SEED runs the same again.

export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** A number in [0, 1): mulberry32. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** A whole number from `low` to `high`, both included. */
  whole(low: number, high: number): number {
    return low + Math.floor(this.next() * (high - low + 1));
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  /** @throws Error for an empty list. */
  pick<T>(list: readonly T[]): T {
    const picked = list[Math.floor(this.next() * list.length)];
    if (picked === undefined && list.length === 0) throw new Error("nothing to pick from");
    return picked as T;
  }

  bytes(length: number): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(length);
    for (let index = 0; index < length; index++) bytes[index] = this.whole(0, 255);
    return bytes;
  }

  /** Text of `length` UTF-16 units, printable for the most part. */
  text(length: number): string {
    let text = "";
    while (text.length < length)
      text += this.chance(0.9)
        ? String.fromCharCode(this.whole(32, 126))
        : String.fromCharCode(this.whole(0, 0xffff));
    return text;
  }
}

/** A generator for one test file, seeded from FAULT_SEED or the clock; says which on standard error. */
export function seeded(name: string): Random {
  const seed = Number(process.env.FAULT_SEED ?? Date.now() % 2 ** 32);
  console.error(`${name}: FAULT_SEED=${seed}`);
  return new Random(seed);
}
