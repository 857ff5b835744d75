// One budget of memory for everything that waits in the hub: frames for clients that do not read, what their sockets buffer, messages
// for handlers and for the bus. A frame that many clients wait for counts once. Above the budget the slowest readers are closed, and
// only as many as it takes; a client that keeps up has nothing here and is never one of them.
import type { QueuedFrame } from "./queued-frame.ts";

/** The queue of a client that did not take everything at once. */
export interface BlockedQueue {
  /** All that it holds, shared or not. */
  readonly bytes: number;
  /** When it was last empty, on `performance.now()`. */
  readonly since: number;
  /** Closes its client; it leaves the budget before this returns. */
  giveUp(): void;
}

/** A place in a queue. */
const SLOT = 32;
/** What waits for handlers and the bus stops short of this part, so that it never costs a reader its connection. */
const RESERVABLE = 1 / 4;
/** Relief goes a little further than it must, so that the next frame does not ask for it again. */
const RELIEVED = 7 / 8;

export class QueueBudget {
  readonly #blocked = new Set<BlockedQueue>();
  #held = 0;
  #buffered = 0;
  #reserved = 0;

  /** `limitBytes` is asked each time: it may change while the server runs. `onRelief` hears how many clients were closed. */
  constructor(
    private readonly limitBytes: () => number,
    private readonly onRelief: (closed: number, heldBytes: number) => void,
  ) {}

  get heldBytes(): number {
    return this.ownBytes + this.#buffered;
  }

  /** Without what sockets buffer, which the door counts too. */
  get ownBytes(): number {
    return this.#held + this.#reserved;
  }

  /** A queue holds the frame. */
  hold(frame: QueuedFrame): void {
    this.#held += frame.holders++ === 0 ? frame.bytes + SLOT : SLOT;
  }

  release(frame: QueuedFrame): void {
    this.#held -= --frame.holders === 0 ? frame.bytes + SLOT : SLOT;
  }

  /** Of one socket alone; negative gives back. */
  buffer(bytes: number): void {
    this.#buffered += bytes;
  }

  /** False when so much more may not wait for a handler or the bus. */
  reserve(bytes: number): boolean {
    if (this.#reserved + bytes > this.limitBytes() * RESERVABLE) return false;
    this.#reserved += bytes;
    return true;
  }

  unreserve(bytes: number): void {
    this.#reserved -= bytes;
  }

  join(queue: BlockedQueue): void {
    this.#blocked.add(queue);
  }

  leave(queue: BlockedQueue): void {
    this.#blocked.delete(queue);
  }

  /** Called after every growth: closes the slowest readers when the budget is exceeded. */
  keep(): void {
    if (this.heldBytes > this.limitBytes()) this.#relieve(this.limitBytes() * RELIEVED);
  }

  /** For the memory of the whole server. @returns the bytes that the slowest reader frees, 0 when there is none. */
  giveUpSlowest(): number {
    const before = this.heldBytes;
    const [slowest] = this.#slowestFirst();
    slowest?.giveUp();
    if (slowest !== undefined) this.onRelief(1, this.heldBytes);
    return before - this.heldBytes;
  }

  #relieve(targetBytes: number): void {
    let closed = 0;
    for (const queue of this.#slowestFirst()) {
      if (this.heldBytes <= targetBytes) break;
      queue.giveUp();
      closed++;
    }
    if (closed > 0) this.onRelief(closed, this.heldBytes);
  }

  /** By bytes times the time since it was last empty: neither a full queue of this moment nor an old trickle is what costs most. */
  #slowestFirst(): BlockedQueue[] {
    const now = performance.now();
    const weight = ({ bytes, since }: BlockedQueue) => bytes * (now - since + 1);
    return [...this.#blocked].sort((one, other) => weight(other) - weight(one));
  }
}
