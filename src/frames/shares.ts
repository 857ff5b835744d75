// What one caller takes of the hub: an address (IPv6: a /64) for clients without a token, the identity that a token proves for the
// others, wherever they come from. Bounded: a caller without clients whose buckets are full again is forgotten.
import { type BucketSize, TokenBucket } from "../limits/token-bucket.ts";

export interface ShareSizes {
  /** 0 is no limit, here and below. */
  readonly maxClientsPerAddress: number;
  readonly maxConnectionsPerSecond: number;
  readonly maxMessagesPerSecond: number;
}

/** A burst is so many seconds of the rate. */
const BURST_SECONDS = 5;
/** All strangers together have so many times what one address has: one sender may own many networks. */
const STRANGERS = { burst: 2, rate: 4 };
/** A private address from which several accounts come is a proxy's: many people share it. */
const SHARED = 4;
const MAX_SHARES = 20_000;
/** Shares are looked through from so many on, and then at most once in that time. */
const MANY = 1_000;
const SWEEP_MS = 1_000;

export const bucketSize = (perSecond: number): BucketSize => ({
  burst: perSecond * BURST_SECONDS,
  perSecond,
});

export class Share {
  clients = 0;
  readonly connections: TokenBucket;
  readonly #messages: TokenBucket;
  /** For messages above the rate. */
  readonly #excess: TokenBucket;
  #factor = 1;

  constructor(
    readonly name: string,
    private readonly sizes: ShareSizes,
    now: () => number,
    /** Of all strangers; undefined for a proven identity. */
    private readonly strangers: TokenBucket | undefined,
  ) {
    this.connections = new TokenBucket(
      () => bucketSize(this.sizes.maxConnectionsPerSecond * this.#factor),
      now,
    );
    this.#messages = new TokenBucket(() => bucketSize(this.sizes.maxMessagesPerSecond * this.#factor), now);
    this.#excess = new TokenBucket(() => {
      const perSecond = this.sizes.maxMessagesPerSecond * this.#factor;
      return { burst: perSecond, perSecond: perSecond / 10 };
    }, now);
  }

  /** Whether it stands for many people, as far as is known now. */
  set shared(shared: boolean) {
    this.#factor = shared ? SHARED : 1;
  }

  /** One message above the rate. False when there were too many: the hub closes the connection that sent it. */
  takeExcess(): boolean {
    if (this.#excess.take()) return true;
    // Coming again must not be cheaper than keeping to the rate.
    this.connections.exhaust();
    return false;
  }

  takeMessage(cost = 1): boolean {
    return this.#messages.take(cost) && (this.strangers === undefined || this.strangers.take(cost));
  }

  oweMessages(more: number): void {
    this.#messages.owe(more);
    this.strangers?.owe(more);
  }

  get hasPlace(): boolean {
    const { maxClientsPerAddress } = this.sizes;
    return maxClientsPerAddress === 0 || this.clients < maxClientsPerAddress * this.#factor;
  }

  get idle(): boolean {
    return this.clients === 0 && this.connections.full && this.#messages.full;
  }
}

export class Shares {
  /** Least lately asked for first. */
  readonly #shares = new Map<string, Share>();
  readonly #strangers: TokenBucket;
  #sweptAt = Number.NEGATIVE_INFINITY;

  constructor(
    readonly sizes: ShareSizes,
    private readonly now: () => number = () => performance.now(),
  ) {
    this.#strangers = new TokenBucket(() => {
      const { burst, perSecond } = bucketSize(sizes.maxMessagesPerSecond);
      return { burst: burst * STRANGERS.burst, perSecond: perSecond * STRANGERS.rate };
    }, now);
  }

  ofAddress(network: string, shared: boolean): Share {
    const share = this.#of(`address ${network}`, this.#strangers);
    share.shared = shared;
    return share;
  }

  ofIdentity(subject: string): Share {
    return this.#of(`identity ${subject}`, undefined);
  }

  get size(): number {
    return this.#shares.size;
  }

  #of(name: string, strangers: TokenBucket | undefined): Share {
    const share = this.#shares.get(name) ?? new Share(name, this.sizes, this.now, strangers);
    this.#shares.delete(name);
    this.#shares.set(name, share);
    if (this.#shares.size > MANY) this.#sweep(share);
    return share;
  }

  #sweep(asked: Share): void {
    const now = this.now();
    if (now - this.#sweptAt >= SWEEP_MS) {
      this.#sweptAt = now;
      for (const [name, share] of this.#shares) if (share.idle && share !== asked) this.#shares.delete(name);
    }
    // Those with clients are no more than the hub has clients.
    for (const [name, share] of this.#shares) {
      if (this.#shares.size <= MAX_SHARES) break;
      if (share.clients === 0 && share !== asked) this.#shares.delete(name);
    }
  }
}
