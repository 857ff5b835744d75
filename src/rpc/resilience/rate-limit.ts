// Stage 12: calls in a second, for each tenant and service unless the document says otherwise (contract 12.2). Inbound calls never wait.
import type { RpcDocument } from "../document/document.ts";
import type { Call } from "../pipeline/call.ts";
import type { RateLimiting } from "../pipeline/parts.ts";
import { rpcError } from "../wire/rpc-error.ts";
import { guardKey, scopeOf, settingsFor } from "./guard-key.ts";
import { Keyed } from "./keyed.ts";
import { type Limiter, limiter } from "./limiters.ts";

type Settings = RpcDocument["resilience"]["rate_limit"];

export interface RateLimitParts {
  readonly decided: (call: Call, isAllowed: boolean) => void;
  readonly now?: () => number;
}

export class RateLimit implements RateLimiting {
  readonly #now: () => number;
  #settings: Settings | undefined;
  #limiters = new Keyed<{ limiter?: Limiter }>(() => ({}));

  constructor(private readonly parts: RateLimitParts) {
    this.#now = parts.now ?? (() => performance.now());
  }

  /** @throws RpcError 5020 */
  take(call: Call): void {
    const base = call.config.resilience.rate_limit;
    this.#restartWhenChanged(base);
    const settings = settingsFor(base, base.overrides, call);
    if (!settings.enabled) return;
    const state = this.#limiters.get(`${scopeOf(base, call)}|${guardKey(base.key, call)}`);
    state.limiter ??= limiter(settings);
    const taken = state.limiter.take(this.#now());
    const waitMs = Math.ceil(taken.resetInMs);
    call.rateLimit = { limit: taken.limit, remaining: taken.remaining, reset_at_ms: Date.now() + waitMs };
    this.parts.decided(call, taken.isAllowed);
    if (taken.isAllowed) return;
    throw rpcError(5020, "rate_limit", "too many calls", {
      metadata: { retry_after_ms: waitMs, key: base.key },
      retryAfterMs: waitMs,
    });
  }

  /** New limits begin full (contract 16). */
  #restartWhenChanged(settings: Settings): void {
    if (this.#settings === settings) return;
    const isNew = this.#settings === undefined || JSON.stringify(this.#settings) !== JSON.stringify(settings);
    this.#settings = settings;
    if (isNew) this.#limiters.clear();
  }
}
