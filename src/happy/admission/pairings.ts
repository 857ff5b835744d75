// Pairing of terminals and further devices: who may keep how many requests waiting, and a timer that clears away those that are over.

import type { Logger } from "pino";
import type { Addresses, Standing } from "../../limits/addresses.ts";
import type { Bounds } from "../../limits/bounds.ts";
import { networkOf } from "../../limits/network.ts";
import { steadyNow } from "../../storage/steady-time.ts";
import type { HappyStore } from "../store/index.ts";
import { PAIRING_KINDS, type PairingKind, type PairingStatus, type Poll } from "../store/pairing.ts";
import { WaitingPairings } from "./waiting-pairings.ts";

/** Requests of one network that wait, of each kind: many times what the pace of pairing lets one address make within a second. */
const LIMITS: Readonly<Record<Standing, number>> = { unknown: 200, known: 1_000, shared: 10_000 };

const CLEAR_EVERY_MS = 15_000;

export interface PairingsParts {
  readonly store: HappyStore;
  readonly bounds: Bounds;
  readonly addresses: Addresses;
  readonly log: Logger;
  /** Steady time. */
  readonly now?: () => number;
  /** Between two looks for requests that are over. */
  readonly clearEveryMs?: number;
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
    return this.parts.store.pollPairing(request, () => {
      const limit = LIMITS[this.parts.addresses.standing(address)];
      const givenUp = waiting.add(publicKey, network, limit);
      if (givenUp.length > 0) this.parts.bounds.refused("pairings-per-address", { network, limit });
      return givenUp;
    });
  }

  status(publicKey: string): Promise<PairingStatus> {
    return this.parts.store.pairingStatus(publicKey, this.#now());
  }

  /** The first approval wins. False when there is no such request. @throws UnknownAccount */
  async approve(kind: PairingKind, publicKey: string, account: string, response: string): Promise<boolean> {
    const approval = { kind, publicKey, account, response, now: this.#now() };
    const found = await this.parts.store.approvePairing(approval);
    if (found && response !== "") this.#waiting[kind].remove(publicKey);
    return found;
  }

  /** Takes over what an earlier run left, and begins to clear away. */
  start(): void {
    this.#timer = setInterval(() => void this.clear(), this.parts.clearEveryMs ?? CLEAR_EVERY_MS);
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
    const { store } = this.parts;
    await store.settlePairings(this.#now());
    for (const kind of PAIRING_KINDS) {
      const waiting = this.#waiting[kind];
      await store.takeOverPairings(kind, (keys) =>
        keys.flatMap((key) => (waiting.has(key) ? [] : waiting.add(key, "", Number.POSITIVE_INFINITY))),
      );
    }
    await this.#clear();
  }

  async #clear(): Promise<void> {
    const { store } = this.parts;
    for (const kind of PAIRING_KINDS) {
      for (let more = true; more; ) {
        const expired = await store.expirePairings(kind, this.#now());
        for (const key of expired.waiting) this.#waiting[kind].remove(key);
        more = expired.more;
      }
    }
  }

  #failed(error: unknown): void {
    this.parts.log.warn({ err: error }, "pairing requests that are over could not be cleared away");
  }
}
