// One span of time for everything that a piece of work does, by the monotonic clock: aborted at its end or at a stop, whichever is first.

export interface Deadline {
  readonly signal: AbortSignal;
  /** Milliseconds until the end; negative after it. */
  leftMs(): number;
}

export function deadlineIn(ms: number, stopping?: AbortSignal): Deadline {
  const endsAt = performance.now() + ms;
  const timeout = AbortSignal.timeout(ms);
  return {
    signal: stopping === undefined ? timeout : AbortSignal.any([timeout, stopping]),
    leftMs: () => endsAt - performance.now(),
  };
}
