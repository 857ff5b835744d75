// How often one address and one account may sign in, pair and upload: more than any person and any client's polling needs, far less
// than a script that tries keys or fills the disk.
import { networkOf } from "../../limits/network.ts";
import { type BucketSize, TokenBuckets } from "../../limits/token-buckets.ts";

export type LimitedKind = "sign-in" | "pairing" | "upload";

/** Waiting devices poll once a second each, and give up at the first refusal: an office behind one address must fit. */
const SIZES: Readonly<Record<LimitedKind, { readonly address: BucketSize; readonly account: BucketSize }>> = {
  "sign-in": { address: { burst: 120, perSecond: 1 }, account: { burst: 30, perSecond: 0.5 } },
  pairing: { address: { burst: 600, perSecond: 30 }, account: { burst: 60, perSecond: 1 } },
  upload: { address: { burst: 600, perSecond: 10 }, account: { burst: 300, perSecond: 3 } },
};

export class RateLimits {
  readonly #buckets = new Map<string, TokenBuckets>();

  constructor(now?: () => number) {
    for (const [kind, { address, account }] of Object.entries(SIZES)) {
      this.#buckets.set(`${kind} address`, new TokenBuckets(address, now));
      this.#buckets.set(`${kind} account`, new TokenBuckets(account, now));
    }
  }

  /**
   * Counts one call of an address, of one that many share a part of a call. Undefined when it may go on, else the milliseconds to
   * wait.
   */
  address(kind: LimitedKind, address: string, wider = 1): number | undefined {
    return this.#buckets.get(`${kind} address`)?.exceeded(networkOf(address), 1 / wider);
  }

  /** As `address`, for an account id, or for the key of one that proved to hold it. */
  account(kind: LimitedKind, account: string): number | undefined {
    return this.#buckets.get(`${kind} account`)?.exceeded(account);
  }
}
