// How long to wait before the next attempt: 100 ms doubling to 5 s, give or take a fifth, so that nodes do not come back in step.

export function backoffMs(failures: number, random: () => number = Math.random): number {
  const base = Math.min(100 * 2 ** Math.min(failures, 10), 5_000);
  return base * (0.8 + 0.4 * random());
}

/** Resolves after the wait, or at once on abort. */
export function backoff(failures: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, backoffMs(failures));
    signal.addEventListener("abort", done, { once: true });
    if (signal.aborted) done();
  });
}
