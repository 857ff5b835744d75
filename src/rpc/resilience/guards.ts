// Stage 15's guards for inbound calls: places by service, breakers by service, method and tenant, unless the document says otherwise
// (contract 12.3, 12.4). Streams have places of their own, which they hold for their whole life.
import type { RpcDocument } from "../document/document.ts";
import type { Call } from "../pipeline/call.ts";
import { countsAsFailure } from "../pipeline/execute.ts";
import type { BreakerTicket, Guards, Slot } from "../pipeline/parts.ts";
import { RpcError, rpcError } from "../wire/rpc-error.ts";
import { Breaker, type BreakerState } from "./breaker.ts";
import { Bulkhead, type BulkheadSettings, type Refusal } from "./bulkhead.ts";
import { guardKey, scopeOf, settingsFor } from "./guard-key.ts";
import { Keyed } from "./keyed.ts";

const NO_SLOT: Slot = { release: () => {} };
const NO_TICKET: BreakerTicket = { succeeded: () => {}, failed: () => {}, ignored: () => {} };

export class InboundGuards implements Guards {
  readonly #unary: Keyed<Bulkhead>;
  readonly #streams: Keyed<Bulkhead>;
  readonly #breakers: Keyed<Breaker>;

  constructor(
    private readonly config: () => RpcDocument,
    now: () => number = () => performance.now(),
  ) {
    const bulkheads = () =>
      new Keyed<Bulkhead>(
        () => new Bulkhead(now),
        (bulkhead) => bulkhead.isIdle,
        now,
      );
    this.#unary = bulkheads();
    this.#streams = bulkheads();
    this.#breakers = new Keyed<Breaker>(
      () => new Breaker(now),
      (breaker) => breaker.isIdle,
      now,
    );
  }

  enter(call: Call): Slot | Promise<Slot> {
    const base = call.config.resilience.bulkhead;
    const isStream = call.incoming.kind !== "unary";
    const overrides = isStream ? {} : base.overrides;
    const settings = settingsFor<BulkheadSettings & { enabled: boolean }>(
      isStream ? { enabled: base.enabled, ...base.streams } : base,
      overrides,
      call,
    );
    if (!settings.enabled) return NO_SLOT;
    const key = `${scopeOf({ key: base.key, overrides }, call)}|${guardKey(base.key, call)}`;
    const bulkhead = (isStream ? this.#streams : this.#unary).get(key);
    if (bulkhead.tryEnter(settings)) return slotOf(bulkhead, settings);
    return this.#wait(call, bulkhead, settings);
  }

  async #wait(call: Call, bulkhead: Bulkhead, settings: BulkheadSettings): Promise<Slot> {
    try {
      await bulkhead.wait(settings, call.asked.qos.priority, call.remainingMs(), call.incoming.disconnected);
    } catch (why) {
      throw refusal(call, bulkhead, why as Refusal);
    }
    return slotOf(bulkhead, settings);
  }

  admit(call: Call): BreakerTicket {
    const base = call.config.resilience.circuit_breaker;
    const settings = settingsFor(base, base.overrides, call);
    if (!settings.enabled) return NO_TICKET;
    const name = guardKey(base.key, call);
    const breaker = this.#breakers.get(`${scopeOf(base, call)}|${name}`);
    const admission = breaker.admit(settings);
    if ("retryAfterMs" in admission)
      throw rpcError(5010, "circuit_open", "too many failures lately", {
        metadata: { name, state: breaker.state(settings), retry_after_ms: admission.retryAfterMs },
        retryAfterMs: admission.retryAfterMs,
      });
    return {
      succeeded: () => admission.succeeded(),
      failed: (code) => (countsAsFailure(code) ? admission.failed() : admission.ignored()),
      ignored: () => admission.ignored(),
    };
  }

  /** For figures and health: the breakers that are not closed, by name. */
  *breakers(): Iterable<readonly [name: string, state: BreakerState]> {
    const settings = this.config().resilience.circuit_breaker;
    for (const [key, breaker] of this.#breakers) yield [unscoped(key), breaker.state(settings)];
  }

  /** For figures, by key. */
  *bulkheads(): Iterable<{ readonly key: string; readonly active: number; readonly queued: number }> {
    for (const kind of [this.#unary, this.#streams])
      for (const [key, { active, queued }] of kind) yield { key: unscoped(key), active, queued };
  }
}

/** Names of services and methods have no separator. */
const unscoped = (key: string): string => key.slice(key.indexOf("|") + 1);

function slotOf(bulkhead: Bulkhead, settings: BulkheadSettings): Slot {
  let isHeld = true;
  return {
    release: () => {
      if (!isHeld) return;
      isHeld = false;
      bulkhead.release(settings);
    },
  };
}

function refusal(call: Call, { active, queued }: Bulkhead, why: Refusal): RpcError {
  if (why === "deadline") {
    call.end("deadline");
    return new RpcError(5003);
  }
  if (why === "left") {
    call.end("disconnect");
    return new RpcError(5002);
  }
  return rpcError(
    5021,
    "bulkhead",
    why === "full" ? "no place, and no room to wait" : "waited too long for a place",
    {
      metadata: { active, queued },
    },
  );
}
