// How often one address and one account may sign in, pair and upload: more than any person and any client's polling needs, far less
// than a script that tries keys or fills the disk.
import { isIPv6 } from "node:net";
import { type BucketSize, TokenBuckets } from "./token-buckets.ts";

export type LimitedKind = "sign-in" | "pairing" | "upload";

/** Waiting devices poll once a second each, and give up at the first refusal: an office behind one address must fit. */
const SIZES: Readonly<Record<LimitedKind, { readonly address: BucketSize; readonly account: BucketSize }>> = {
  "sign-in": { address: { burst: 120, perSecond: 1 }, account: { burst: 30, perSecond: 0.5 } },
  pairing: { address: { burst: 600, perSecond: 30 }, account: { burst: 60, perSecond: 1 } },
  upload: { address: { burst: 600, perSecond: 10 }, account: { burst: 300, perSecond: 3 } },
};

export class RateLimits {
  readonly #buckets = new Map<string, TokenBuckets>();

  constructor(now: () => number = Date.now) {
    for (const [kind, { address, account }] of Object.entries(SIZES)) {
      this.#buckets.set(`${kind} address`, new TokenBuckets(address, now));
      this.#buckets.set(`${kind} account`, new TokenBuckets(account, now));
    }
  }

  /** Counts one call of an address. Undefined when it may go on, else the milliseconds to wait. */
  address(kind: LimitedKind, address: string): number | undefined {
    return this.#buckets.get(`${kind} address`)?.exceeded(networkOf(address));
  }

  /** As `address`, for an account id, or for the key of one that proved to hold it. */
  account(kind: LimitedKind, account: string): number | undefined {
    return this.#buckets.get(`${kind} account`)?.exceeded(account);
  }
}

/** One IPv6 customer has at least a whole /64 to call from. */
export function networkOf(address: string): string {
  if (!isIPv6(address)) return address;
  const [head = "", tail] = (address.split("%")[0] ?? "").toLowerCase().split("::");
  const groups = head === "" ? [] : head.split(":");
  const after = tail === undefined || tail === "" ? [] : tail.split(":");
  // A dotted end stands for two groups.
  const length = groups.length + after.length + (address.includes(".") ? 1 : 0);
  const all = [...groups, ...Array.from({ length: Math.max(0, 8 - length) }, () => "0"), ...after];
  return all
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(":");
}
