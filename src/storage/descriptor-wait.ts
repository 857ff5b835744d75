// Opening a file when no descriptor is left: for a moment that is no failure, because connections of strangers are being ended to make
// room (server/connection-watch.ts).

const EVERY_MS = 15;
const WITHIN_MS = 3_000;

/** Does it again while the process or the system has no descriptor. @throws what `open` throws, this one too after a while. */
export async function whenDescriptorsAreFree<T>(open: () => Promise<T>): Promise<T> {
  const until = performance.now() + WITHIN_MS;
  for (;;) {
    try {
      return await open();
    } catch (error) {
      if (!isOutOfDescriptors(error) || performance.now() > until) throw error;
      await Bun.sleep(EVERY_MS);
    }
  }
}

export function isOutOfDescriptors(error: unknown): boolean {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return code === "EMFILE" || code === "ENFILE";
}
