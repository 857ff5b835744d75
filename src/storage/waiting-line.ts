// Operations that wait, in the order in which they came, while another program holds SQLite's write lock. Each waits a bounded time,
// and all together are bounded in number and bytes: what does not fit is refused at once.

/** All together. A lock that is held for five seconds under full load is refused beyond this. */
export const MAX_WAITING = 10_000;
/** Of what the operations want to store, as far as they say. */
export const MAX_WAITING_BYTES = 64 * 1024 * 1024;

export interface Waiter {
  /** From performance.now(). */
  readonly since: number;
  /** What it wants to store. */
  readonly holds: unknown;
  /** Operations of one sender: when one is refused, those behind it are refused too, so that none overtakes it. */
  readonly sender: object | undefined;
}

export class WaitingLine<W extends Waiter> {
  #waiters: W[] = [];
  #sizes: number[] = [];
  /** Those before it have left: cheaper than moving the rest with every one that goes. */
  #first = 0;
  #bytes = 0;

  get length(): number {
    return this.#waiters.length - this.#first;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get head(): W | undefined {
    return this.#waiters[this.#first];
  }

  has(sender: object): boolean {
    return this.#waiters.some((waiter, index) => index >= this.#first && waiter.sender === sender);
  }

  /** False when there is no room; a single one always fits, whatever its size. */
  push(waiter: W): boolean {
    if (this.length >= MAX_WAITING) return false;
    const bytes = bytesOf(waiter.holds);
    if (this.length > 0 && this.#bytes + bytes > MAX_WAITING_BYTES) return false;
    this.#waiters.push(waiter);
    this.#sizes.push(bytes);
    this.#bytes += bytes;
    return true;
  }

  shift(): W | undefined {
    const waiter = this.#waiters[this.#first];
    if (waiter === undefined) return undefined;
    this.#bytes -= this.#sizes[this.#first] ?? 0;
    this.#first++;
    if (this.length === 0 || this.#first > 1_000) this.#keep(() => true);
    return waiter;
  }

  /** Takes out what came before `since`, and what its senders have sent after it. */
  takeExpired(since: number): W[] {
    if (this.head === undefined || this.head.since > since) return [];
    const senders = new Set<object>();
    return this.#keep((waiter) => {
      const { sender } = waiter;
      if (waiter.since > since && (sender === undefined || !senders.has(sender))) return true;
      if (sender !== undefined) senders.add(sender);
      return false;
    });
  }

  takeAll(): W[] {
    return this.#keep(() => false);
  }

  /** @returns those that are not kept, in order. */
  #keep(isKept: (waiter: W) => boolean): W[] {
    const [waiters, sizes, first] = [this.#waiters, this.#sizes, this.#first];
    const gone: W[] = [];
    this.#waiters = [];
    this.#sizes = [];
    this.#first = 0;
    this.#bytes = 0;
    for (const [index, waiter] of waiters.entries()) {
      if (index < first) continue;
      if (!isKept(waiter)) {
        gone.push(waiter);
        continue;
      }
      this.#waiters.push(waiter);
      this.#sizes.push(sizes[index] ?? 0);
      this.#bytes += sizes[index] ?? 0;
    }
    return gone;
  }
}

/** Deeper than anything that a store function is given. */
const DEPTH = 4;

/** Roughly, of the texts and bytes in it. */
export function bytesOf(value: unknown, depth = DEPTH): number {
  if (typeof value === "string") return value.length;
  if (value instanceof Uint8Array) return value.byteLength;
  if (typeof value !== "object" || value === null || depth === 0) return 0;
  let bytes = 0;
  for (const part of Object.values(value)) bytes += bytesOf(part, depth - 1);
  return bytes;
}
