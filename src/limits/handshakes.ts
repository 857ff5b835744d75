// Sockets that are open and not let in yet: how many there may be in all, and of one address. Over the limit the oldest one that waits
// for its client goes. One that is young, or whose token the server is just checking, stays; the newcomer then waits for a moment, in a
// bounded line that all addresses pass in turn, so that a thousand honest clients that come back at once are let in one after another.
// When the line is full too, a stranger has to come again; of an address that accounts come from the oldest goes, young or not, so that
// who floods a shared address does not keep the others out of it.
import type { Addresses } from "./addresses.ts";
import type { Bounds } from "./bounds.ts";
import { networkOf } from "./network.ts";

/** A client that has just opened its socket has so long to say who it is before it may lose its place: a stranger, and others. */
const PATIENCE_MS = 1_000;
const LONG_PATIENCE_MS = 4_000;
/** Longest wait for a place. */
const LINE_MS = 5_000;
const LOOK_MS = 50;
/** The line is so many times as long as there are places. One address has half of it, an unknown one a quarter. */
const LINE_FACTOR = 4;

export interface HandshakeLimits {
  readonly maxHandshakes: number;
  readonly maxHandshakesPerAddress: number;
}

export interface HandshakeParts {
  /** Asked each time: limits may change while the server runs. */
  readonly limits: () => HandshakeLimits;
  readonly addresses: Addresses;
  readonly bounds: Bounds;
  readonly now?: () => number;
}

export interface Newcomer {
  readonly address: string;
  readonly isWebSocket: boolean;
  /** Aborts when its client goes while it waits in line. */
  readonly signal?: AbortSignal;
}

interface PlaceParts {
  readonly address: string;
  readonly network: string;
  readonly isWebSocket: boolean;
  /** Of the monotonic clock. */
  readonly since: number;
  readonly free: (place: Place) => void;
}

/** One socket that is not let in yet. */
export class Place {
  /** Ends the socket when another one needs the place. Without it the socket is still being opened, and stays. */
  end: (() => void) | undefined;
  /** The server has something to do before the client has: its token is being checked. */
  isBusy = false;

  constructor(private readonly parts: PlaceParts) {}

  get address(): string {
    return this.parts.address;
  }

  get network(): string {
    return this.parts.network;
  }

  get isWebSocket(): boolean {
    return this.parts.isWebSocket;
  }

  get since(): number {
    return this.parts.since;
  }

  /** It was let in, or is gone. May be called again. */
  leave(): void {
    this.parts.free(this);
  }
}

interface Waiting extends Newcomer {
  readonly until: number;
  readonly answer: (place: Place | undefined) => void;
}

export class Handshakes {
  /** Oldest first. */
  readonly #places = new Set<Place>();
  readonly #byNetwork = new Map<string, Set<Place>>();
  readonly #line = new Map<string, Waiting[]>();
  #waiting = 0;
  #webSockets = 0;
  #timer: Timer | undefined;
  readonly #now: () => number;
  /** Most WebSockets among the places; undefined where no such limit is needed. */
  webSocketLimit: (() => number | undefined) | undefined;

  constructor(private readonly parts: HandshakeParts) {
    this.#now = parts.now ?? (() => performance.now());
  }

  get size(): number {
    return this.#places.size;
  }

  get waiting(): number {
    return this.#waiting;
  }

  /** A place, at once or after a short wait; undefined when the client has to come again. */
  enter(newcomer: Newcomer): Place | Promise<Place | undefined> | undefined {
    const network = networkOf(newcomer.address);
    if (!this.#line.has(network)) {
      const place = this.#take(network, newcomer);
      if (place !== undefined) return place;
    }
    return this.#wait(network, newcomer);
  }

  /** A socket that was let in has left where it was, and is a newcomer again that cannot be turned away. */
  reenter({ address, isWebSocket }: Newcomer): Place {
    const network = networkOf(address);
    const newcomer = { address, isWebSocket };
    return this.#take(network, newcomer) ?? this.#add(network, newcomer);
  }

  /** Nobody waits any more; who is in line has to come again. */
  close(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    for (const line of this.#line.values()) for (const { answer } of line) answer(undefined);
    this.#line.clear();
    this.#waiting = 0;
  }

  /** `isPressed`: the youngest may go as well. */
  #take(network: string, newcomer: Newcomer, isPressed = false): Place | undefined {
    const { address, isWebSocket } = newcomer;
    const { maxHandshakes, maxHandshakesPerAddress } = this.parts.limits();
    const own = this.#byNetwork.get(network);
    if (own !== undefined && own.size >= this.#share(address)) {
      if (!this.#makeRoom(own, "handshakes-per-address", address, maxHandshakesPerAddress, isPressed))
        return undefined;
    }
    if (this.#places.size >= maxHandshakes) {
      if (!this.#makeRoom(this.#places, "handshakes", address, maxHandshakes, isPressed)) return undefined;
    }
    const webSockets = isWebSocket ? this.webSocketLimit?.() : undefined;
    if (webSockets !== undefined && this.#webSockets >= webSockets) {
      const others = [...this.#places].filter((place) => place.isWebSocket);
      if (!this.#makeRoom(others, "handshakes", address, webSockets)) return undefined;
    }
    return this.#add(network, newcomer);
  }

  #add(network: string, { address, isWebSocket }: Newcomer): Place {
    const place = new Place({
      address,
      network,
      isWebSocket,
      since: this.#now(),
      free: (left) => this.#free(left),
    });
    this.#places.add(place);
    if (isWebSocket) this.#webSockets++;
    const own = this.#byNetwork.get(network);
    if (own === undefined) this.#byNetwork.set(network, new Set([place]));
    else own.add(place);
    return place;
  }

  /** Whom the server knows may come with many at once. */
  #share(address: string): number {
    const { maxHandshakes, maxHandshakesPerAddress } = this.parts.limits();
    if (this.#isStranger({ address })) return maxHandshakesPerAddress;
    return Math.max(maxHandshakesPerAddress, Math.floor(maxHandshakes / 2));
  }

  /** Ends the oldest that waits for its client and has had its time. */
  #makeRoom(
    among: Iterable<Place>,
    bound: "handshakes" | "handshakes-per-address",
    address: string,
    limit: number,
    isPressed = false,
  ): boolean {
    const now = this.#now();
    for (const place of among) {
      if (!isPressed && now - place.since < PATIENCE_MS) return false;
      if (place.isBusy || place.end === undefined) continue;
      if (!isPressed && !this.#isStranger(place) && now - place.since < LONG_PATIENCE_MS) continue;
      this.#remove(place);
      this.parts.bounds.refused(bound, { address, limit });
      place.end();
      return true;
    }
    return false;
  }

  #isStranger({ address }: { readonly address: string }): boolean {
    return this.parts.addresses.standing(address) === "unknown";
  }

  /** Whoever it is that comes. */
  #isFull(): boolean {
    if (this.#places.size < this.parts.limits().maxHandshakes) return false;
    for (const { since } of this.#places) return since > this.#now() - PATIENCE_MS;
    return false;
  }

  #remove(place: Place): boolean {
    if (!this.#places.delete(place)) return false;
    if (place.isWebSocket) this.#webSockets--;
    const own = this.#byNetwork.get(place.network);
    own?.delete(place);
    if (own?.size === 0) this.#byNetwork.delete(place.network);
    return true;
  }

  #free(place: Place): void {
    if (this.#remove(place) && this.#waiting > 0) this.#serve();
  }

  #turnAway({ address }: Newcomer): undefined {
    const { maxHandshakes, maxHandshakesPerAddress } = this.parts.limits();
    if (this.#isStranger({ address }))
      this.parts.bounds.refused("handshakes-per-address", { address, limit: maxHandshakesPerAddress });
    else this.parts.bounds.refused("handshakes", { address, limit: maxHandshakes });
    return undefined;
  }

  #wait(network: string, newcomer: Newcomer): Place | Promise<Place | undefined> | undefined {
    const longest = this.parts.limits().maxHandshakes * LINE_FACTOR;
    const isStranger = this.#isStranger(newcomer);
    const own = longest / (isStranger ? 4 : 2);
    const line = this.#line.get(network) ?? [];
    if (this.#waiting >= longest || line.length >= own)
      return (isStranger ? undefined : this.#take(network, newcomer, true)) ?? this.#turnAway(newcomer);
    const { promise, resolve: answer } = Promise.withResolvers<Place | undefined>();
    line.push({ ...newcomer, until: this.#now() + LINE_MS, answer });
    this.#line.set(network, line);
    this.#waiting++;
    this.#timer ??= setInterval(() => this.#look(), LOOK_MS);
    return promise;
  }

  #look(): void {
    for (const [network, line] of this.#line) this.#dropEnded(network, line);
    this.#serve();
  }

  /** Lets in who waits, one of each address in turn, as long as somebody can be. */
  #serve(): void {
    for (let isMoving = true; isMoving; ) {
      isMoving = false;
      for (const [network, line] of [...this.#line]) {
        if (this.#isFull()) break;
        const [first] = line;
        if (first === undefined) continue;
        const place = this.#take(network, first);
        if (place === undefined) continue;
        line.shift();
        this.#waiting--;
        isMoving = true;
        // To the end of the turn.
        this.#line.delete(network);
        if (line.length > 0) this.#line.set(network, line);
        first.answer(place);
      }
    }
    if (this.#waiting > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #dropEnded(network: string, line: Waiting[]): void {
    const now = this.#now();
    const staying = line.filter(({ signal, until }) => signal?.aborted !== true && until > now);
    if (staying.length === line.length) return;
    for (const waiting of line) {
      if (waiting.signal?.aborted === true) waiting.answer(undefined);
      else if (waiting.until <= now) waiting.answer(this.#turnAway(waiting));
    }
    this.#waiting -= line.length - staying.length;
    line.splice(0, line.length, ...staying);
    if (line.length === 0) this.#line.delete(network);
  }
}
