// Guessing the access token is slow: of one network only so many different wrong ones are looked at in a minute. One client that comes
// again and again with the same old token locks nobody out.
import { hash } from "node:crypto";
import type { Addresses, Standing } from "../../limits/addresses.ts";
import type { Bounds } from "../../limits/bounds.ts";
import { networkOf } from "../../limits/network.ts";

/** An address that many share has more. */
const DIFFERENT: Readonly<Record<Standing, number>> = { unknown: 20, known: 20, shared: 200 };
const WINDOW_MS = 60_000;
const MAX_NETWORKS = 5_000;

interface Guesses {
  readonly endsAt: number;
  readonly hashes: Set<string>;
}

export interface WrongTokensParts {
  readonly addresses: Pick<Addresses, "standing">;
  readonly bounds: Pick<Bounds, "refused">;
  /** Whether anybody is limited. */
  readonly isOn: () => boolean;
  readonly now?: () => number;
}

export class WrongTokens {
  /** By network, the one that began first first. */
  readonly #guesses = new Map<string, Guesses>();

  constructor(private readonly parts: WrongTokensParts) {}

  /** Milliseconds until a token from there is looked at again; undefined when it is now. */
  waitMs(address: string): number | undefined {
    if (!this.parts.isOn()) return undefined;
    const network = networkOf(address);
    const limit = DIFFERENT[this.parts.addresses.standing(address)];
    const guesses = this.#of(network);
    if (guesses === undefined || guesses.hashes.size < limit) return undefined;
    this.parts.bounds.refused("hapi-wrong-tokens", { network, limit });
    return guesses.endsAt - this.#now();
  }

  note(address: string, token: string): void {
    const network = networkOf(address);
    const guesses = this.#of(network) ?? this.#begin(network);
    if (guesses.hashes.size < DIFFERENT.shared)
      guesses.hashes.add(hash("sha256", token, "base64").slice(0, 16));
  }

  /** Networks remembered. */
  get size(): number {
    return this.#guesses.size;
  }

  #of(network: string): Guesses | undefined {
    const guesses = this.#guesses.get(network);
    if (guesses === undefined || guesses.endsAt > this.#now()) return guesses;
    this.#guesses.delete(network);
    return undefined;
  }

  #begin(network: string): Guesses {
    const begun: Guesses = { endsAt: this.#now() + WINDOW_MS, hashes: new Set() };
    this.#guesses.set(network, begun);
    for (const [oldest, { endsAt }] of this.#guesses) {
      if (this.#guesses.size <= MAX_NETWORKS && endsAt > this.#now()) break;
      this.#guesses.delete(oldest);
    }
    return begun;
  }

  #now(): number {
    return this.parts.now?.() ?? performance.now();
  }
}
