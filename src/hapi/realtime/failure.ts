// What becomes of a socket event that failed: the words that its sender hears in the `error` event, and a line of the log where it is the
// server's fault. What a client has caused is counted and is no error of ours, however often it comes.
import type { Logger } from "pino";
import type { Bounds } from "../../limits/bounds.ts";
import { TooFast } from "../../limits/message-pace.ts";
import { ValueTooLarge } from "../../limits/value-sizes.ts";
import { asStorageError, StorageError } from "../../storage/errors.ts";

export interface FailureParts {
  readonly bounds: Pick<Bounds, "refused">;
  readonly log: Logger;
}

/** For the sender; what nobody expected is told without its text. */
export function wordsOf(thrown: unknown): { readonly message: string; readonly code: string } {
  if (thrown instanceof ValueTooLarge) return { message: thrown.message, code: "too-large" };
  if (thrown instanceof TooFast) return { message: "Too many messages at once", code: "too-fast" };
  const error = asStorageError(thrown);
  if (error instanceof StorageError) return { message: error.message, code: "not-stored" };
  return { message: "Internal error", code: "internal" };
}

/** For the person who runs the server. */
export function noteFailure(
  { bounds, log }: FailureParts,
  { event, account }: { readonly event: string; readonly account: string },
  thrown: unknown,
): void {
  if (thrown instanceof ValueTooLarge) {
    const { field, bytes, limitBytes } = thrown;
    bounds.refused("value-size", { account, event, value: field, bytes, limitBytes });
    return;
  }
  // Counted where it waits.
  if (thrown instanceof TooFast) {
    log.debug({ event, account }, thrown.message);
    return;
  }
  const error = asStorageError(thrown);
  if (!(error instanceof StorageError)) log.error({ event, err: thrown }, "a socket event failed");
  // Both say so themselves: the first to the client, the second once in the log.
  else if (error.code === "quota" || error.code === "held")
    log.debug({ event, code: error.code }, error.message);
  else log.error({ event, code: error.code }, error.message);
}
