// Usage reports -> sums by hour or day, pure. Hours and days are those of the process's time zone (TZ), like the original's
// (HTTP contract 5.4 and 20.18).
import { z } from "zod";
import type { StoredReport } from "../store/usage.ts";

export type Grouping = "hour" | "day";

export interface UsageBucket {
  /** Start of the hour or day, Unix seconds. */
  readonly timestamp: number;
  readonly tokens: Readonly<Record<string, number>>;
  readonly cost: Readonly<Record<string, number>>;
  readonly reportCount: number;
}

/** Far enough from the end of the range that no sum of stored reports reaches it: JSON would say null for what is beyond. */
const MAX_AMOUNT = Number.MAX_SAFE_INTEGER;

/** Whether a number may be reported, and counts. */
export const isAmount = (value: number): boolean => Math.abs(value) <= MAX_AMOUNT;

const amounts = z.record(z.string(), z.unknown()).catch({});
/** Imported reports may lack a part; it then counts nothing. */
const dataSchema = z.object({ tokens: amounts, cost: amounts });

/** Buckets that have reports, ascending; every numeric amount is summed under its name. Reports of an older version may hold numbers beyond the range, which count nothing. */
export function usageBuckets(reports: readonly StoredReport[], by: Grouping): UsageBucket[] {
  const buckets = new Map<number, { tokens: Sums; cost: Sums; reportCount: number }>();
  for (const { createdAt, data } of reports) {
    const start = startOf(createdAt, by);
    // No date: an imported time in another unit.
    if (Number.isNaN(start)) continue;
    const bucket = buckets.get(start) ?? { tokens: new Map(), cost: new Map(), reportCount: 0 };
    buckets.set(start, bucket);
    const { tokens, cost } = dataSchema.parse(JSON.parse(data));
    add(bucket.tokens, tokens);
    add(bucket.cost, cost);
    bucket.reportCount++;
  }
  return [...buckets]
    .sort(([a], [b]) => a - b)
    .map(([start, { tokens, cost, reportCount }]) => ({
      timestamp: Math.floor(start / 1000),
      tokens: Object.fromEntries(tokens),
      cost: Object.fromEntries(cost),
      reportCount,
    }));
}

type Sums = Map<string, number>;

function add(sums: Sums, amounts: Readonly<Record<string, unknown>>): void {
  for (const [name, amount] of Object.entries(amounts)) {
    if (typeof amount === "number" && isAmount(amount)) sums.set(name, (sums.get(name) ?? 0) + amount);
  }
}

function startOf(at: number, by: Grouping): number {
  const date = new Date(at);
  return by === "hour" ? date.setMinutes(0, 0, 0) : date.setHours(0, 0, 0, 0);
}
