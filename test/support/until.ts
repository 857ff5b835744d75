// Waiting for what only looking shows. Every wait has a bound, and says on failure what it waited for.

/**
 * Looks until there is something to see: anything but false and undefined. A look that throws has seen nothing yet.
 * @returns what was seen. @throws Error after `boundMs`, whose cause is what the last look threw.
 */
export async function until<T>(
  what: string,
  look: () => T | Promise<T>,
  boundMs = 20_000,
): Promise<Exclude<T, false | undefined>> {
  const deadline = performance.now() + boundMs;
  let cause: unknown;
  for (;;) {
    try {
      const seen = await look();
      if (seen !== false && seen !== undefined) return seen as Exclude<T, false | undefined>;
    } catch (error) {
      cause = error;
    }
    if (performance.now() > deadline) throw new Error(`waited ${boundMs} ms in vain for ${what}`, { cause });
    await Bun.sleep(10);
  }
}
