// Streams whose clients have lost their connections and may come back. They hold places and memory without a connection that would bound
// them, so each caller has a bounded number of them: who proved who it is by its name, everybody else by its network.
import type { Limits } from "../../limits/limits.ts";
import { networkOf } from "../../limits/network.ts";
import type { Owner } from "./live-streams.ts";

export interface AwayStream {
  /** Nobody comes back for it. */
  leave(): void;
}

const MAX_AWAY = 64;

export class AwayStreams {
  /** By caller; the longest away first. */
  readonly #byCaller = new Map<string, Set<AwayStream>>();

  constructor(private readonly limits: Pick<Limits, "bounds" | "addresses">) {}

  /** Callers of which some are away. */
  get size(): number {
    return this.#byCaller.size;
  }

  add(stream: AwayStream, owner: Owner, address: string): void {
    const key = keyOf(owner, address);
    const own = this.#byCaller.get(key) ?? new Set();
    this.#byCaller.set(key, own);
    own.add(stream);
    const limit = owner.verified ? MAX_AWAY : this.limits.addresses.widened(MAX_AWAY, address);
    if (own.size <= limit) return;
    const [longest] = own;
    this.limits.bounds.refused("rpc-streams-away", { address, limit });
    longest?.leave();
  }

  remove(stream: AwayStream, owner: Owner, address: string): void {
    const key = keyOf(owner, address);
    const own = this.#byCaller.get(key);
    own?.delete(stream);
    if (own?.size === 0) this.#byCaller.delete(key);
  }
}

const keyOf = ({ tenant, principal, verified }: Owner, address: string): string =>
  verified ? JSON.stringify([tenant, principal]) : networkOf(address);
