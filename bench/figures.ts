// What a scenario reports, and the arithmetic that all of them share.

export interface Result {
  readonly name: string;
  /** Unit in the key: `p99_ms`, `messages_per_s`, `resident_mb`. */
  readonly figures: Readonly<Record<string, number>>;
}

export type Scenario = () => Promise<Result | readonly Result[]>;

/** The value below which `share` of the samples lie. */
export function percentile(samples: readonly number[], share: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

export function median(samples: readonly number[]): number {
  return percentile(samples, 0.5);
}
