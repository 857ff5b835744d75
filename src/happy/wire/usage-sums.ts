// Adds up the buckets of one batch of usage reports after another. How many different names a query may add up is bounded: they are
// what clients call things.
import type { UsageBucket } from "./usage-buckets.ts";

const MAX_NAMES = 200_000;

interface Sum {
  readonly tokens: Map<string, number>;
  readonly cost: Map<string, number>;
  reportCount: number;
}

export class UsageSums {
  totalReports = 0;
  readonly #sums = new Map<number, Sum>();
  #names = 0;

  /** @throws Error when there are too many different names to add up. */
  add(buckets: readonly UsageBucket[]): void {
    for (const { timestamp, tokens, cost, reportCount } of buckets) {
      const sum = this.#sums.get(timestamp) ?? { tokens: new Map(), cost: new Map(), reportCount: 0 };
      this.#sums.set(timestamp, sum);
      this.#amounts(sum.tokens, tokens);
      this.#amounts(sum.cost, cost);
      sum.reportCount += reportCount;
      this.totalReports += reportCount;
    }
  }

  /** Ascending. */
  buckets(): UsageBucket[] {
    return [...this.#sums]
      .sort(([a], [b]) => a - b)
      .map(([timestamp, { tokens, cost, reportCount }]) => ({
        timestamp,
        tokens: Object.fromEntries(tokens),
        cost: Object.fromEntries(cost),
        reportCount,
      }));
  }

  #amounts(sums: Map<string, number>, amounts: Readonly<Record<string, number>>): void {
    for (const [name, amount] of Object.entries(amounts)) {
      const before = sums.get(name);
      if (before === undefined && ++this.#names > MAX_NAMES)
        throw new Error("usage reports with too many different names");
      sums.set(name, (before ?? 0) + amount);
    }
  }
}
