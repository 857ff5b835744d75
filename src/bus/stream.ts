// A subscription as an asynchronous stream (bus contract, section 9): for consumers that work message by message at their own pace.
import type { BusMessage, MessageBus } from "./message-bus.ts";

/** Messages that may wait for the consumer. */
const MAX_WAITING = 10_000;

/** The consumer was so slow that messages would have been lost in silence. */
export class StreamOverrunError extends Error {}

/**
 * Begins to listen now. Ends on abort, `unsubscribe`, or when the bus closes.
 * @throws what `subscribe` throws; the iteration throws StreamOverrunError when too many messages wait.
 */
export function stream(
  bus: MessageBus,
  topic: string,
  signal?: AbortSignal,
): AsyncIterableIterator<BusMessage> {
  const waiting: BusMessage[] = [];
  let ended = false;
  let overrun = false;
  let wake = Promise.withResolvers<void>();
  const subscription = bus.subscribe(
    topic,
    (message) => {
      if (waiting.length >= MAX_WAITING) {
        overrun = true;
        subscription.end();
      } else waiting.push(message);
      wake.resolve();
    },
    {
      ...(signal === undefined ? {} : { signal }),
      onEnd: () => {
        ended = true;
        wake.resolve();
      },
    },
  );
  return (async function* () {
    try {
      for (;;) {
        const next = waiting.shift();
        if (next !== undefined) yield next;
        else if (overrun)
          throw new StreamOverrunError(`more than ${MAX_WAITING} messages of ${topic} waited`);
        else if (ended) return;
        else {
          wake = Promise.withResolvers();
          await wake.promise;
        }
      }
    } finally {
      subscription.end();
    }
  })();
}
