// The streams that are open here, and for a minute those that were (contract 7.6), so that who asks late learns how one ended. Found by the id
// that nobody can guess, or by the request's id among the streams of the same caller. Bounded in number; what a stream took goes with it.
import type { Call } from "../pipeline/call.ts";
import type { StreamName } from "../wire/stream-control.ts";
import type { LiveStream, StreamState } from "./live-stream.ts";

/** Whose a stream is. Who proved nothing is told from others by its word alone. */
export interface Owner {
  readonly tenant: string;
  readonly principal: string;
  readonly verified: boolean;
}

export const ownerOf = ({ tenant, identity }: Call): Owner => ({
  tenant,
  principal: identity.id,
  verified: identity.verified,
});

export const isSameOwner = (a: Owner, b: Owner): boolean =>
  a.tenant === b.tenant && a.principal === b.principal && a.verified === b.verified;

/** What is told of a stream, open or not. */
export interface StreamFacts {
  readonly streamId: string;
  readonly requestId: string;
  /** As it was called. */
  readonly method: string;
  readonly version: string | undefined;
  readonly state: StreamState;
  readonly lastSequence: number;
  readonly acked: number;
}

export interface Found {
  readonly facts: StreamFacts;
  /** Undefined: it is over. */
  readonly live: LiveStream | undefined;
}

interface Ended {
  readonly facts: StreamFacts;
  readonly owner: Owner;
  readonly at: number;
}

const MAX_STREAMS = 10_000;
const MAX_ENDED = 10_000;
const ENDED_MS = 60_000;

export class LiveStreams {
  readonly #live = new Map<string, LiveStream>();
  /** By owner and request. */
  readonly #byRequest = new Map<string, Set<LiveStream>>();
  /** The first to end comes first. */
  readonly #ended = new Map<string, Ended>();

  constructor(
    private readonly now: () => number = () => performance.now(),
    private readonly max = MAX_STREAMS,
  ) {}

  get size(): number {
    return this.#live.size;
  }

  /** Those that are over and not forgotten. */
  get remembered(): number {
    return this.#ended.size;
  }

  get isFull(): boolean {
    return this.#live.size >= this.max;
  }

  [Symbol.iterator](): Iterator<LiveStream> {
    return this.#live.values();
  }

  /** Open ones by service. */
  byService(): Map<string, number> {
    const counts = new Map<string, number>();
    for (const { call } of this.#live.values()) {
      const { service } = call.definition;
      counts.set(service, (counts.get(service) ?? 0) + 1);
    }
    return counts;
  }

  add(stream: LiveStream): void {
    this.#live.set(stream.id, stream);
    const key = requestKey(ownerOf(stream.call), stream.call.id);
    const same = this.#byRequest.get(key);
    if (same === undefined) this.#byRequest.set(key, new Set([stream]));
    else same.add(stream);
  }

  /** It is over. */
  end(stream: LiveStream): void {
    if (!this.#live.delete(stream.id)) return;
    const owner = ownerOf(stream.call);
    const key = requestKey(owner, stream.call.id);
    const same = this.#byRequest.get(key);
    same?.delete(stream);
    if (same?.size === 0) this.#byRequest.delete(key);
    this.#ended.set(stream.id, { facts: factsOf(stream), owner, at: this.now() });
    this.sweep();
  }

  /** Undefined also where it is somebody else's: nobody learns of it. `several`: of one request; none of them is meant. */
  find({ streamId, requestId }: StreamName, owner: Owner): Found | "several" | undefined {
    if (streamId !== undefined) {
      const found = this.#byId(streamId, owner);
      return requestId === undefined || found?.facts.requestId === requestId ? found : undefined;
    }
    // Callers that proved nothing share their identities: only what cannot be guessed tells their streams apart.
    if (requestId === undefined || !owner.verified) return undefined;
    const [live, another] = this.#byRequest.get(requestKey(owner, requestId)) ?? [];
    if (another !== undefined) return "several";
    return live === undefined ? undefined : { live, facts: factsOf(live) };
  }

  /** That was called for the stream of this id, whosever it is. */
  methodOf(id: string): string | undefined {
    return this.#live.get(id)?.call.asked.method.full ?? this.#ended.get(id)?.facts.method;
  }

  /** To be called now and then. */
  sweep(): void {
    const old = this.now() - ENDED_MS;
    for (const [id, { at }] of this.#ended) {
      if (at > old && this.#ended.size <= MAX_ENDED) break;
      this.#ended.delete(id);
    }
  }

  #byId(id: string, owner: Owner): Found | undefined {
    const live = this.#live.get(id);
    if (live !== undefined)
      return isSameOwner(ownerOf(live.call), owner) ? { live, facts: factsOf(live) } : undefined;
    const ended = this.#ended.get(id);
    if (ended === undefined || !isSameOwner(ended.owner, owner) || this.now() - ended.at > ENDED_MS)
      return undefined;
    return { live: undefined, facts: ended.facts };
  }
}

export const factsOf = ({ id, call, state, lastSequence, window }: LiveStream): StreamFacts => ({
  streamId: id,
  requestId: call.id,
  method: call.asked.method.full,
  version: call.version,
  state,
  lastSequence,
  acked: window.acked,
});

/** Names may hold any separator. */
const requestKey = ({ tenant, principal, verified }: Owner, request: string): string =>
  JSON.stringify([tenant, principal, verified, request]);
