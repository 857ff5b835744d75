// Clients repeat a refused call for ever, an app about twice a second (HTTP contract 16.2), and nothing that they could be answered
// makes them stop. So who is shut out hears the first refusals at once and every later one after a while: the loop turns slowly.
import { TokenBuckets } from "./token-buckets.ts";

/** Refusals at once, for each account: enough for a person who looks what is wrong. */
const AT_ONCE = { burst: 20, perSecond: 0.1 };
const HOLD_MS = 10_000;
/** Answers held at one time; beyond, they are not held. */
const MAX_HELD = 1_000;

export class RefusalPace {
  readonly #buckets: TokenBuckets;
  readonly #held = new Set<() => void>();

  constructor(private readonly holdMs = HOLD_MS) {
    this.#buckets = new TokenBuckets(AT_ONCE);
  }

  /** Resolves when the refusal may be sent: at once, after the hold, or when the client is gone. */
  turn(account: string, signal: AbortSignal): Promise<void> {
    if (this.#buckets.exceeded(account) === undefined || this.#held.size >= MAX_HELD || signal.aborted)
      return Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    const release = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", release);
      this.#held.delete(release);
      resolve();
    };
    const timer = setTimeout(release, this.holdMs);
    signal.addEventListener("abort", release);
    this.#held.add(release);
    return promise;
  }

  /** Sends what is held: the server stops. */
  release(): void {
    for (const release of [...this.#held]) release();
  }

  /** Answers that are held now. */
  get held(): number {
    return this.#held.size;
  }
}
