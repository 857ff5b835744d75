// Who claims which namespace of one Socket.IO path, and what follows for all of them: one engine has one heartbeat and one announcement,
// and a connection that has named no namespace yet has the smallest limits of all.
import type { Logger } from "pino";
import type { Cluster } from "../bus/cluster.ts";
import type { PeerLimits } from "./peer.ts";
import type { RequestFacts } from "./request-facts.ts";
import type { SocketCors } from "./socket-cors.ts";

/** Of one connection, by what it is let into. */
export interface NamespaceLimits extends PeerLimits {
  /** Largest body of a polling POST of a client that was let in. */
  readonly maxPollingBytes: number;
  /** An acknowledgement of more bytes is refused, and only its own call fails; `maxMessageBytes` when absent. */
  readonly maxAckBytes?: number;
}

/**
 * What one engine does for a whole path: its first packet goes out before a client has named a namespace. Where claims differ, the path
 * pings as often as the one that wants it most often, waits for the answer as long as the most patient, and for a CONNECT as short as
 * the least patient: no namespace's client is pinged less often or given up sooner than was asked for it, and no stranger stays longer.
 */
export interface EngineWishes {
  readonly pingIntervalMs: number;
  readonly pingTimeoutMs: number;
  /** How long a transport may stay without a Socket.IO CONNECT. */
  readonly connectTimeoutMs: number;
  /** What the handshake says that a polling body may weigh; where nobody wishes it, the smallest of all claims' own. The largest wins. */
  readonly maxPayloadBytes?: number;
}

/** What a CONNECT_ERROR says. */
export interface ConnectRefusal {
  readonly message: string;
  readonly data?: unknown;
}

export interface RefusedRequest {
  /** Where nobody else wants the connection. */
  readonly answer: Response;
  /** Where another protocol does: the namespace refuses later. */
  readonly refusal: ConnectRefusal;
  /** The request speaks to this claim alone: the answer holds, whoever else is on the path. */
  readonly isOurs?: boolean;
}

/** A namespace whose clients prove who they are. */
export interface NamespaceClaim {
  /** As the listeners call it. */
  readonly protocol: string;
  readonly namespace: string;
  /** Other names of it: a client that asks for one is in `namespace` and hears of it under that name. One claim of a path may have them. */
  readonly otherNames?: (namespace: string) => boolean;
  readonly limits: NamespaceLimits;
  /** Largest polling body of a client that is not let in yet. Asked each time. */
  readonly maxStrangerBodyBytes: () => number;
  readonly engine: EngineWishes;
  readonly cors: SocketCors;
  /** What a page of a foreign origin is told that another claim's origins let as far as this namespace. */
  readonly foreignOrigin?: ConnectRefusal;
  /** Looks at a request before the engine does, as far as the claim is concerned. */
  readonly refuses?: (request: Request, facts: RequestFacts) => Promise<RefusedRequest | undefined>;
  /** The acknowledgement with which an event is refused before it is read; undefined for one without. */
  readonly failureOf?: (event: string) => unknown;
  /** Broadcasts cross to the same namespace on the other nodes; undefined: this node is alone. */
  readonly cluster?: Cluster | undefined;
  /** The door is being closed; the connections still stand. */
  readonly closing?: () => void;
  readonly log: Logger;
}

/** What refuses a connection as soon as its client asks for the namespace. */
export type Refusals = ReadonlyMap<NamespaceClaim, ConnectRefusal>;

/** A namespace that asks for no proof: who has joined it is a stranger still, and goes when a newcomer needs its place. */
export interface OpenNamespace {
  readonly protocol: string;
  readonly namespace: string;
  /** Its protocol itself bounds how many are in it and for how long: they keep their place. */
  readonly keepsPlace?: boolean;
  /** Another protocol may claim it as well: then this claim is none. */
  readonly yields?: boolean;
}

export class Claims {
  readonly #closed = new Map<string, NamespaceClaim>();
  readonly #open = new Map<string, OpenNamespace>();

  constructor(readonly path: string) {}

  /** @throws Error with a sentence that names both, where another one has it. */
  add(claim: NamespaceClaim): void {
    const { namespace, otherNames } = claim;
    this.#refuseTwice(claim);
    for (const other of this.closed) {
      const isOthers = other.otherNames?.(namespace) === true || otherNames?.(other.namespace) === true;
      if (isOthers || (otherNames !== undefined && other.otherNames !== undefined))
        throw new Error(
          `Both ${other.protocol} and ${claim.protocol} claim further names of namespaces at ${this.path}.`,
        );
    }
    this.#open.delete(namespace);
    this.#closed.set(namespace, claim);
  }

  /** @throws as `add`. */
  addOpen(claim: OpenNamespace): void {
    if (claim.yields === true && this.#holder(claim.namespace) !== undefined) return;
    this.#refuseTwice(claim);
    this.#open.set(claim.namespace, claim);
  }

  get closed(): readonly NamespaceClaim[] {
    return [...this.#closed.values()];
  }

  get protocols(): ReadonlySet<string> {
    return new Set([...this.#closed.values(), ...this.#open.values()].map(({ protocol }) => protocol));
  }

  /** Those of the protocols that a listener serves. */
  servedAt(served: ReadonlySet<string>): ServedClaims {
    const here = ({ protocol }: { readonly protocol: string }) => served.has(protocol);
    const closed = this.closed.filter(here);
    return new ServedClaims(
      closed.length === 0 ? this.closed : closed,
      closed,
      new Map([...this.#open].filter(([, claim]) => here(claim))),
    );
  }

  #holder(namespace: string): NamespaceClaim | OpenNamespace | undefined {
    const open = this.#open.get(namespace);
    return this.#closed.get(namespace) ?? (open?.yields === true ? undefined : open);
  }

  #refuseTwice({ protocol, namespace }: NamespaceClaim | OpenNamespace): void {
    const other = this.#holder(namespace);
    if (other !== undefined)
      throw new Error(
        `Both ${other.protocol} and ${protocol} claim the namespace ${namespace} at ${this.path}.`,
      );
  }
}

/** The claims of one path as clients of one listener see them. */
export class ServedClaims {
  readonly #byNamespace: ReadonlyMap<string, NamespaceClaim>;
  readonly #withOtherNames: NamespaceClaim | undefined;
  /** Of a connection that is let in nowhere. */
  readonly startLimits: NamespaceLimits;
  /** A claim wants to know of requests before the engine does. */
  readonly lookAtRequests: boolean;
  /** No answer of the engine is that of one namespace alone: each decides again when a client asks for it. */
  readonly hasSeveral: boolean;

  constructor(
    /** Whose limits a stranger has. */
    private readonly bounding: readonly NamespaceClaim[],
    readonly closed: readonly NamespaceClaim[],
    private readonly open: ReadonlyMap<string, OpenNamespace>,
  ) {
    this.#byNamespace = new Map(closed.map((claim) => [claim.namespace, claim]));
    this.#withOtherNames = closed.find(({ otherNames }) => otherNames !== undefined);
    this.startLimits = smallest(bounding.map(({ limits }) => limits));
    this.hasSeveral = closed.length > 1;
    this.lookAtRequests = this.hasSeveral || closed.some(({ refuses }) => refuses !== undefined);
  }

  /** What a client means by a name. */
  named(name: string): NamespaceClaim | undefined {
    const claim = this.#byNamespace.get(name);
    if (claim !== undefined || this.#withOtherNames === undefined || this.open.has(name)) return claim;
    return this.#withOtherNames.otherNames?.(name) === true ? this.#withOtherNames : undefined;
  }

  /** The claim of what Socket.IO itself calls so. */
  of(namespace: string): NamespaceClaim | undefined {
    return this.#byNamespace.get(namespace);
  }

  isOpen(namespace: string): boolean {
    return this.open.has(namespace);
  }

  keepsPlace(namespace: string): boolean {
    return this.open.get(namespace)?.keepsPlace === true;
  }

  maxStrangerBodyBytes(): number {
    return Math.min(...this.bounding.map((claim) => claim.maxStrangerBodyBytes()));
  }
}

export function smallest(all: readonly NamespaceLimits[]): NamespaceLimits {
  return combined(all, Math.min);
}

export function largest(all: readonly NamespaceLimits[]): NamespaceLimits {
  return combined(all, Math.max);
}

function combined(all: readonly NamespaceLimits[], choose: typeof Math.min): NamespaceLimits {
  const of = (limit: (limits: NamespaceLimits) => number) => choose(...all.map(limit));
  return {
    maxMessageBytes: of((limits) => limits.maxMessageBytes),
    maxQueuedBytes: of((limits) => limits.maxQueuedBytes),
    maxPollingBytes: of((limits) => limits.maxPollingBytes),
  };
}

/** The rule of `EngineWishes`. */
export function agreed(all: readonly EngineWishes[]): EngineWishes {
  const announced = all.flatMap(({ maxPayloadBytes }) => maxPayloadBytes ?? []);
  return {
    ...(announced.length > 0 && { maxPayloadBytes: Math.max(...announced) }),
    pingIntervalMs: Math.min(...all.map(({ pingIntervalMs }) => pingIntervalMs)),
    pingTimeoutMs: Math.max(...all.map(({ pingTimeoutMs }) => pingTimeoutMs)),
    connectTimeoutMs: Math.min(...all.map(({ connectTimeoutMs }) => connectTimeoutMs)),
  };
}
