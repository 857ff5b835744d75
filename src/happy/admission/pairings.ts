// Pairing of terminals and further devices: who may keep how many requests waiting, and a timer that clears away those that are over.
import type { Logger } from "pino";
import type { Addresses, Standing } from "../../limits/addresses.ts";
import type { Bounds } from "../../limits/bounds.ts";
import { networkOf } from "../../limits/network.ts";
import type { Database } from "../../storage/database.ts";
import { steadyNow } from "../../storage/steady-time.ts";
import {
  approvePairing,
  expirePairings,
  forgetPairings,
  hasDeadPairings,
  PAIRING_KINDS,
  type PairingKind,
  type PairingStatus,
  type Poll,
  pairingStatus,
  pollPairing,
  settlePairings,
  waitingPairings,
} from "../store/pairing.ts";
import { WaitingPairings } from "./waiting-pairings.ts";

/** Requests of one network that wait, of each kind: many times what the pace of pairing lets one address make within a second. */
const LIMITS: Readonly<Record<Standing, number>> = { unknown: 200, known: 1_000, shared: 10_000 };

const CLEAR_EVERY_MS = 15_000;

export interface PairingsParts {
  readonly database: Database;
  readonly bounds: Bounds;
  readonly addresses: Addresses;
  readonly log: Logger;
  /** Steady time. */
  readonly now?: () => number;
}

export class Pairings {
  readonly #waiting = { terminal: new WaitingPairings(), account: new WaitingPairings() };
  readonly #now: () => number;
  #timer: Timer | undefined;
  #clearing: Promise<void> | undefined;

  constructor(private readonly parts: PairingsParts) {
    this.#now = parts.now ?? steadyNow;
  }

  /** Create-or-return by key (uppercase hex). `supportsV2` counts only at creation. */
  async poll(kind: PairingKind, publicKey: string, supportsV2: boolean, address: string): Promise<Poll> {
    const network = networkOf(address);
    const waiting = this.#waiting[kind];
    waiting.asked(publicKey, network);
    const request = { kind, publicKey, supportsV2, now: this.#now() };
    return pollPairing(this.parts.database, request, (over) => {
      for (const key of over) waiting.remove(key);
      const limit = LIMITS[this.parts.addresses.standing(address)];
      const givenUp = waiting.add(publicKey, network, limit);
      if (givenUp.length > 0) this.parts.bounds.refused("pairings-per-address", { network, limit });
      return givenUp;
    });
  }

  status(publicKey: string): PairingStatus {
    return pairingStatus(this.parts.database, publicKey, this.#now());
  }

  /** The first approval wins. False when there is no such request. @throws UnknownAccount */
  async approve(kind: PairingKind, publicKey: string, account: string, response: string): Promise<boolean> {
    const approval = { kind, publicKey, account, response, now: this.#now() };
    const found = await approvePairing(this.parts.database, approval);
    if (found && response !== "") this.#waiting[kind].remove(publicKey);
    return found;
  }

  /** Takes over what an earlier run left, and begins to clear away. */
  start(): void {
    this.#timer = setInterval(() => void this.clear(), CLEAR_EVERY_MS);
    this.#clearing = this.#takeOver()
      .catch((error: unknown) => this.#failed(error))
      .finally(() => {
        this.#clearing = undefined;
      });
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#clearing;
  }

  /** Deletes what is over, in slices. A clearing that is under way is shared. Never rejects. */
  clear(): Promise<void> {
    this.#clearing ??= this.#clear()
      .catch((error: unknown) => this.#failed(error))
      .finally(() => {
        this.#clearing = undefined;
      });
    return this.#clearing;
  }

  /** Requests that wait now. */
  waiting(kind: PairingKind): number {
    return this.#waiting[kind].size;
  }

  async #takeOver(): Promise<void> {
    const { database } = this.parts;
    await settlePairings(database, this.#now());
    for (const kind of PAIRING_KINDS) {
      const waiting = this.#waiting[kind];
      const givenUp = waitingPairings(database, kind).flatMap((key) =>
        waiting.has(key) ? [] : waiting.add(key, "", Number.POSITIVE_INFINITY),
      );
      if (givenUp.length > 0) await forgetPairings(database, kind, givenUp);
    }
    await this.#clear();
  }

  async #clear(): Promise<void> {
    const { database } = this.parts;
    for (const kind of PAIRING_KINDS) {
      // Reading first: most of the time there is nothing, and nothing is written then.
      for (let more = hasDeadPairings(database, kind, this.#now()); more; ) {
        const expired = await expirePairings(database, kind, this.#now());
        for (const key of expired.waiting) this.#waiting[kind].remove(key);
        more = expired.more;
      }
    }
  }

  #failed(error: unknown): void {
    this.parts.log.warn({ err: error }, "pairing requests that are over could not be cleared away");
  }
}
