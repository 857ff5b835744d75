// What one connection may send: its own rate, half of what its caller has, and its caller's. What is above is refused and costs
// nothing but the look; a connection that goes on and on is a flood, and is closed.
import { TokenBucket } from "../limits/token-bucket.ts";
import { bucketSize, type Share } from "./shares.ts";

/** `refused`: not handled, and the client may be told; `quiet`: not handled, it was told a moment ago; `flood`: enough. */
export type Verdict = "allowed" | "refused" | "quiet" | "flood";

const TELL_EVERY_MS = 1_000;
/** A flood costs its caller as much as so many connections: coming again must not be cheaper than keeping to the rate. */
const FLOOD_COST = 50;

export class Allowance {
  readonly #own: TokenBucket;
  /** For messages above the rate. */
  readonly #patience: TokenBucket;
  #toldAt = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly share: Share,
    perSecond: () => number,
    private readonly now: () => number = () => performance.now(),
  ) {
    this.#own = new TokenBucket(() => bucketSize(Math.ceil(perSecond() / 2)), now);
    this.#patience = new TokenBucket(() => ({ burst: perSecond(), perSecond: perSecond() / 10 }), now);
  }

  /** One message. */
  take(): Verdict {
    if (this.#own.take() && this.share.takeMessage()) return "allowed";
    if (!this.#patience.take()) {
      this.share.connections.owe(FLOOD_COST);
      return "flood";
    }
    const now = this.now();
    if (now - this.#toldAt < TELL_EVERY_MS) return "quiet";
    this.#toldAt = now;
    return "refused";
  }

  /** A message that was allowed turned out to reach many: the next ones wait the longer. */
  spend(more: number): void {
    this.#own.owe(more);
    this.share.oweMessages(more);
  }

  /** The address or identity that it counts for, as the log names it. */
  get caller(): string {
    return this.share.name;
  }
}
