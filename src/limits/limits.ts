// The limits that all protocols share, one of each in a server: the catalogue of bounds, who is known by address, one memory ceiling
// and the budget of request bodies under it.
import type { Logger } from "pino";
import type { Metrics } from "../observability/metrics.ts";
import { Addresses } from "./addresses.ts";
import { Answers } from "./answers.ts";
import { BodyBudget } from "./body-budget.ts";
import { BOUNDS, type BoundCatalogue, Bounds } from "./bounds.ts";
import { Handshakes } from "./handshakes.ts";
import { LargeBodies } from "./large-bodies.ts";
import { MemoryCeiling } from "./memory-ceiling.ts";
import { MemoryPieces } from "./memory-pieces.ts";
import type { LimitsConfig } from "./settings.ts";
import { Strangers } from "./strangers.ts";

export interface Limits {
  readonly bounds: Bounds;
  readonly addresses: Addresses;
  readonly memory: MemoryCeiling;
  /** Memory for request bodies. */
  readonly bodies: BodyBudget;
  /** Who may have a large body handled. */
  readonly largeBodies: LargeBodies;
  /** Memory for answers that are written piece by piece. */
  readonly answers: Answers;
  readonly strangers: Strangers;
  /** What waits for slow sockets. */
  readonly queues: MemoryPieces;
  /** What sockets have sent of frames, packets and polling bodies that are not whole yet. */
  readonly arriving: MemoryPieces;
  /** Sockets that are not let in yet, of all protocols. */
  readonly handshakes: Handshakes;
}

export interface LimitsParts {
  /** Asked each time: limits may change while the server runs. */
  readonly config: Pick<
    LimitsConfig,
    | "maxMemoryBytesInFlight"
    | "maxBodyBytesInFlight"
    | "maxAnonymousBytesPerSecond"
    | "maxAnonymousWorkPerSecond"
    | "maxHandshakes"
    | "maxHandshakesPerAddress"
  >;
  /** What protocols bound beside what all have in common. */
  readonly bounds?: BoundCatalogue;
  readonly metrics: Metrics;
  readonly log: Logger;
}

/** Of all memory that clients may hold. */
const ANSWERS_SHARE = 0.25;

export function openLimits({ config, bounds: more = {}, metrics, log }: LimitsParts): Limits {
  const bounds = new Bounds(metrics, log, () => performance.now(), { ...BOUNDS, ...more });
  const addresses = new Addresses();
  const memory = new MemoryCeiling(
    () => config.maxMemoryBytesInFlight,
    (part, bytes) =>
      bounds.refused("memory-in-flight", { part, bytes, limit: config.maxMemoryBytesInFlight }),
  );
  const limits: Limits = {
    bounds,
    addresses,
    memory,
    bodies: new BodyBudget({ limitBytes: () => config.maxBodyBytesInFlight, addresses, bounds }),
    strangers: new Strangers({
      addresses,
      bounds,
      bytesPerSecond: () => config.maxAnonymousBytesPerSecond,
      workMsPerSecond: () => config.maxAnonymousWorkPerSecond,
    }),
    largeBodies: new LargeBodies(),
    answers: new Answers(
      () => config.maxMemoryBytesInFlight * ANSWERS_SHARE,
      (heldBytes) => bounds.refused("memory-in-flight", { part: "answers", heldBytes }),
    ),
    queues: new MemoryPieces("socket queues", memory),
    arriving: new MemoryPieces("unfinished frames", memory, "grows"),
    handshakes: new Handshakes({ limits: () => config, addresses, bounds }),
  };
  limits.memory.join(limits.answers);
  limits.memory.join({ name: "bodies", held: () => limits.bodies.heldBytes });
  metrics
    .gauge("roost_memory_in_flight_bytes", "Bytes that clients make the server hold now, by what they are")
    .reportEach(() => [...limits.memory.users()].map((user) => [{ part: user.name }, user.held()] as const));
  metrics
    .gauge("roost_strangers_waiting", "Bodies of strangers that are on their way")
    .report(() => limits.strangers.waiting);
  metrics.gauge("roost_handshakes", "Sockets that are not let in yet").report(() => limits.handshakes.size);
  metrics
    .gauge(
      "roost_shared_addresses",
      "Private addresses from which several accounts come: an unconfigured proxy",
    )
    .report(() => limits.addresses.shared().length);
  return limits;
}
