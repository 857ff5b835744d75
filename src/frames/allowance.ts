// What one connection may send: its own rate, half of what its caller has, and its caller's. What is above is refused and costs
// nothing but the look; when a caller goes on and on, the connections that do are closed.
import { TokenBucket } from "../limits/token-bucket.ts";
import { bucketSize, type Share } from "./shares.ts";

/** `refused`: not handled, and the client may be told; `quiet`: not handled, it was told a moment ago; `flood`: enough. */
export type Verdict = "allowed" | "refused" | "quiet" | "flood";

const TELL_EVERY_MS = 1_000;
const BYTES_A_MESSAGE = 1_024;

export class Allowance {
  readonly #own: TokenBucket;
  #toldAt = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly share: Share,
    perSecond: () => number,
    private readonly now: () => number = () => performance.now(),
  ) {
    this.#own = new TokenBucket(() => bucketSize(Math.ceil(perSecond() / 2)), now);
  }

  /** One message. A long one costs as much as several: what it is read and written for are its bytes. */
  take(bytes: number): Verdict {
    const cost = 1 + Math.floor(bytes / BYTES_A_MESSAGE);
    if (this.#own.take(cost) && this.share.takeMessage(cost)) return "allowed";
    if (!this.share.takeExcess()) return "flood";
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
