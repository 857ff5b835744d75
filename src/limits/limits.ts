// The limits that all protocols share, one of each in a server: the catalogue of bounds, who is known by address, one memory ceiling
// and the budget of request bodies under it.
import type { Logger } from "pino";
import type { Config } from "../config/settings.ts";
import type { Metrics } from "../observability/metrics.ts";
import { Addresses } from "./addresses.ts";
import { BodyBudget } from "./body-budget.ts";
import { Bounds } from "./bounds.ts";
import { MemoryCeiling } from "./memory-ceiling.ts";
import { Strangers } from "./strangers.ts";

export interface Limits {
  readonly bounds: Bounds;
  readonly addresses: Addresses;
  readonly memory: MemoryCeiling;
  /** Memory for request bodies. */
  readonly bodies: BodyBudget;
  readonly strangers: Strangers;
}

export interface LimitsParts {
  /** Asked each time: limits may change while the server runs. */
  readonly config: Pick<
    Config,
    | "maxMemoryBytesInFlight"
    | "maxBodyBytesInFlight"
    | "maxAnonymousBytesPerSecond"
    | "maxAnonymousWorkPerSecond"
  >;
  readonly metrics: Metrics;
  readonly log: Logger;
}

export function openLimits({ config, metrics, log }: LimitsParts): Limits {
  const bounds = new Bounds(metrics, log);
  const addresses = new Addresses();
  const limits: Limits = {
    bounds,
    addresses,
    memory: new MemoryCeiling(() => config.maxMemoryBytesInFlight),
    bodies: new BodyBudget({ limitBytes: () => config.maxBodyBytesInFlight, addresses, bounds }),
    strangers: new Strangers({
      addresses,
      bounds,
      bytesPerSecond: () => config.maxAnonymousBytesPerSecond,
      workMsPerSecond: () => config.maxAnonymousWorkPerSecond,
    }),
  };
  limits.memory.join({ name: "bodies", held: () => limits.bodies.heldBytes });
  metrics
    .gauge("roost_memory_in_flight_bytes", "Bytes that clients make the server hold now, by what they are")
    .reportEach(() => [...limits.memory.users()].map(({ name, held }) => [{ part: name }, held()] as const));
  metrics
    .gauge(
      "roost_shared_addresses",
      "Private addresses from which several accounts come: an unconfigured proxy",
    )
    .report(() => limits.addresses.shared().length);
  return limits;
}
