// What strangers cost, by address: the bytes that they send, the processor time that they take, and how many requests of theirs wait
// for the rest of their body. Who has proved an account is none and is never counted. In memory and bounded; a restart forgets.
import type { Addresses } from "./addresses.ts";
import type { Bounds } from "./bounds.ts";
import { networkOf } from "./network.ts";

/** Each refills by its rate, and holds so many seconds of it. */
const SECONDS = 32;
const MAX_NETWORKS = 20_000;
/** Bodies of strangers that are on their way, of all addresses and of one that is unknown; the oldest is given up for a new one. */
const MAX_WAITING = 2_000;
const MAX_WAITING_PER_ADDRESS = 64;
/** A stranger's body is small: it is here within this time, or it is not in earnest. */
const BODY_MS = 20_000;

export interface StrangersParts {
  readonly addresses: Addresses;
  readonly bounds: Bounds;
  /** Of one unknown address, each second; 0 for no limit. Asked each time. */
  readonly bytesPerSecond: () => number;
  readonly workMsPerSecond: () => number;
  readonly now?: () => number;
}

/** A body did not come in time, or made place for a newer one. */
export class GivenUp extends Error {}

const givenUp = (): Error => new GivenUp();

interface Account {
  /** Seconds of the rate that were used and have not come back yet. */
  bytes: number;
  work: number;
  at: number;
}

interface Waiting {
  readonly network: string;
  /** Of `performance.now()`: given up then. */
  readonly until: number;
  giveUp(): void;
}

export class Strangers {
  /** Least lately charged first. */
  readonly #networks = new Map<string, Account>();
  /** Oldest first. */
  readonly #waiting = new Set<Waiting>();
  readonly #waitingOf = new Map<string, number>();
  /** One for all: each waits for the same time, so the oldest is due first. */
  #timer: Timer | undefined;
  readonly #now: () => number;

  constructor(private readonly parts: StrangersParts) {
    this.#now = parts.now ?? (() => performance.now());
  }

  /** Milliseconds until this address may cost anything again; undefined when it may now. */
  exceeded(address: string): number | undefined {
    const known = this.#networks.get(networkOf(address));
    if (known === undefined) return undefined;
    const gone = (this.#now() - known.at) / 1_000;
    const over = (used: number, bound: string) => {
      const seconds = used - gone - SECONDS;
      if (seconds > 0) this.parts.bounds.refused(bound, { address });
      return Math.max(0, seconds);
    };
    const seconds = Math.max(over(known.bytes, "anonymous-bytes"), over(known.work, "anonymous-work"));
    return seconds > 0 ? Math.ceil(seconds * 1_000) : undefined;
  }

  /** Counts what a request without an account has cost. */
  charge(address: string, { bytes = 0, workMs = 0 }: { bytes?: number; workMs?: number }): void {
    const { addresses, bytesPerSecond, workMsPerSecond } = this.parts;
    const network = networkOf(address);
    const now = this.#now();
    const known = this.#networks.get(network);
    const gone = known === undefined ? 0 : (now - known.at) / 1_000;
    const seconds = (amount: number, rate: number) =>
      amount === 0 || rate === 0 ? 0 : amount / addresses.widened(rate, address);
    const left = (used: number | undefined) => Math.max(0, (used ?? 0) - gone);
    this.#networks.delete(network);
    this.#networks.set(network, {
      bytes: left(known?.bytes) + seconds(bytes, bytesPerSecond()),
      work: left(known?.work) + seconds(workMs, workMsPerSecond()),
      at: now,
    });
    if (this.#networks.size <= MAX_NETWORKS) return;
    for (const oldest of this.#networks.keys()) {
      this.#networks.delete(oldest);
      break;
    }
  }

  /**
   * What `arriving` resolves with, unless it takes too long or a newer stranger needs the place.
   * @throws what `late` makes, GivenUp by itself
   */
  patiently<T>(address: string, arriving: Promise<T>, late: () => Error = givenUp): Promise<T> {
    const network = networkOf(address);
    this.#makePlace(network, address);
    return new Promise((resolve, reject) => {
      const giveUp = () => reject(late());
      const waiting = { network, until: performance.now() + BODY_MS, giveUp };
      this.#waiting.add(waiting);
      this.#waitingOf.set(network, (this.#waitingOf.get(network) ?? 0) + 1);
      this.#timer ??= this.#giveUpIn(BODY_MS);
      arriving.then(
        (arrived) => {
          this.#leave(waiting);
          resolve(arrived);
        },
        (error: unknown) => {
          this.#leave(waiting);
          reject(error);
        },
      );
    });
  }

  /** Bodies of strangers that are on their way. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** Those that are due by then, and the next ones at their time. */
  #giveUpIn(ms: number): Timer {
    const timer = setTimeout(() => {
      this.#timer = undefined;
      for (const oldest of this.#waiting) {
        const leftMs = oldest.until - performance.now();
        if (leftMs >= 1) {
          this.#timer = this.#giveUpIn(leftMs);
          return;
        }
        this.#leave(oldest);
        oldest.giveUp();
      }
    }, ms);
    timer.unref();
    return timer;
  }

  #makePlace(network: string, address: string): void {
    const of = this.#waitingOf.get(network) ?? 0;
    // An address is looked up only where it matters: no standing makes the bound smaller.
    const own =
      of >= MAX_WAITING_PER_ADDRESS && of >= this.parts.addresses.widened(MAX_WAITING_PER_ADDRESS, address);
    if (!own && this.#waiting.size < MAX_WAITING) return;
    for (const oldest of this.#waiting) {
      if (own && oldest.network !== network) continue;
      this.parts.bounds.refused("anonymous-bytes", { address: oldest.network, waiting: this.#waiting.size });
      this.#leave(oldest);
      oldest.giveUp();
      return;
    }
  }

  #leave(waiting: Waiting): void {
    if (!this.#waiting.delete(waiting)) return;
    const left = (this.#waitingOf.get(waiting.network) ?? 1) - 1;
    if (left > 0) this.#waitingOf.set(waiting.network, left);
    else this.#waitingOf.delete(waiting.network);
  }
}
