// How fast one account may send messages. Over HTTP a call hears how long to wait and comes again. A message on a socket has no answer
// that could say so, and must not be lost: it waits here, in order, and is handled at the account's pace. What waits is bounded
// in bytes, each message with a floor; beyond, the socket is closed so that its client comes back.
import type { Bounds } from "./bounds.ts";
import type { MemoryCeiling } from "./memory-ceiling.ts";
import { TokenBuckets } from "./token-buckets.ts";

export interface MessagePaceParts {
  /** Messages a second of one account, ten times as many at once; 0 for no limit. Asked each time. */
  readonly perSecond: () => number;
  readonly bounds: Pick<Bounds, "refused">;
  readonly memory: Pick<MemoryCeiling, "join">;
  /** Bytes of one account, and of all, that wait. */
  readonly maxAccountBytes?: number;
  readonly maxBytes?: number;
}

const BURST_SECONDS = 10;
/** What a message that waits costs beside its text. */
const MESSAGE_BYTES = 512;
const MAX_ACCOUNT_BYTES = 16 * 1024 * 1024;
const MAX_BYTES = 64 * 1024 * 1024;

/** Too much waits already; this message was not taken. */
export class TooFast extends Error {
  constructor() {
    super("an account sends faster than it may");
  }
}

interface Waiting {
  readonly bytes: number;
  readonly work: () => Promise<void>;
  readonly done: () => void;
  readonly failed: (error: unknown) => void;
}

interface Queue {
  readonly account: string;
  readonly waiting: Waiting[];
  bytes: number;
  timer: Timer | undefined;
}

export class MessagePace {
  readonly #buckets: TokenBuckets;
  readonly #queues = new Map<string, Queue>();
  readonly #maxAccountBytes: number;
  readonly #maxBytes: number;
  readonly #leave: () => void;
  #bytes = 0;

  constructor(private readonly parts: MessagePaceParts) {
    this.#buckets = new TokenBuckets(() => ({
      burst: parts.perSecond() * BURST_SECONDS,
      perSecond: parts.perSecond(),
    }));
    this.#maxAccountBytes = parts.maxAccountBytes ?? MAX_ACCOUNT_BYTES;
    this.#maxBytes = parts.maxBytes ?? MAX_BYTES;
    this.#leave = parts.memory.join({
      name: "messages that wait for their turn",
      held: () => this.#bytes,
      giveUp: () => this.#hurry(),
    });
  }

  /** Takes so many messages at once. Undefined when they may go on, else the milliseconds until they may. */
  exceeded(account: string, messages: number): number | undefined {
    const limit = this.parts.perSecond();
    if (limit === 0) return undefined;
    const waitMs = this.#buckets.exceeded(account, messages);
    if (waitMs !== undefined) this.parts.bounds.refused("account-messages", { account, limit });
    return waitMs;
  }

  /**
   * Begins `work` at once, or in its turn after what waits of the same account. Settles as `work` does.
   * @param bytes that it holds while it waits; asked only then.
   * @throws TooFast when too much waits; `work` is then not begun.
   */
  async turn(account: string, bytes: number | (() => number), work: () => Promise<void>): Promise<void> {
    const queue = this.#queues.get(account);
    const limit = this.parts.perSecond();
    if (queue === undefined && (limit === 0 || this.#buckets.exceeded(account) === undefined)) return work();
    if (queue === undefined) this.parts.bounds.refused("account-messages", { account, limit });
    const into = queue ?? { account, waiting: [], bytes: 0, timer: undefined };
    const held = (typeof bytes === "number" ? bytes : bytes()) + MESSAGE_BYTES;
    if (into.bytes + held > this.#maxAccountBytes || this.#bytes + held > this.#maxBytes) throw new TooFast();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    into.waiting.push({ bytes: held, work, done: resolve, failed: reject });
    into.bytes += held;
    this.#bytes += held;
    if (queue === undefined) {
      this.#queues.set(account, into);
      this.#go(into);
    }
    return promise;
  }

  /** Begins everything that waits, now: the server stops, and nothing that was taken is lost. */
  drain(): void {
    for (const queue of [...this.#queues.values()]) this.#empty(queue);
    this.#leave();
  }

  /** Messages that wait. */
  get waiting(): number {
    let total = 0;
    for (const { waiting } of this.#queues.values()) total += waiting.length;
    return total;
  }

  /** Handles what may be handled by now, and comes again for the rest. */
  #go(queue: Queue): void {
    while (queue.waiting.length > 0) {
      const waitMs = this.parts.perSecond() === 0 ? undefined : this.#buckets.exceeded(queue.account);
      if (waitMs !== undefined) {
        queue.timer = setTimeout(() => this.#go(queue), waitMs);
        return;
      }
      this.#next(queue);
    }
    this.#queues.delete(queue.account);
  }

  #next(queue: Queue): void {
    const first = queue.waiting.shift();
    if (first === undefined) return;
    queue.bytes -= first.bytes;
    this.#bytes -= first.bytes;
    // Begun in order, which is what keeps them in order: the store takes them one after the other.
    first.work().then(first.done, first.failed);
  }

  #empty(queue: Queue): void {
    clearTimeout(queue.timer);
    while (queue.waiting.length > 0) this.#next(queue);
    this.#queues.delete(queue.account);
  }

  /** Memory is short: the account that holds the most has its turn. @returns bytes that are stored now, and no longer here. */
  #hurry(): number {
    let fullest: Queue | undefined;
    for (const queue of this.#queues.values()) if (queue.bytes > (fullest?.bytes ?? 0)) fullest = queue;
    if (fullest === undefined) return 0;
    const { bytes } = fullest;
    this.#empty(fullest);
    return bytes;
  }
}
