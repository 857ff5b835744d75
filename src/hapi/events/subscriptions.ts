// Who listens: every open event stream, by its id and by its namespace. Bounded in all, by namespace and by address; what a stream took
// here goes when it ends, whoever ends it.
import type { EventReader } from "../../http/event-reader.ts";
import type { Limits } from "../../limits/limits.ts";
import { networkOf } from "../../limits/network.ts";
import type { Caller } from "../../server/caller.ts";
import { MAX_EVENT_STREAMS } from "./bounds.ts";
import type { Interest } from "./filter.ts";

export interface Subscription extends Interest {
  /** Known to nobody but its client. */
  readonly id: string;
  readonly reader: EventReader;
  readonly caller: Pick<Caller, "address" | "authenticated">;
  /** By which limits know who asks. */
  readonly account: string;
  isVisible: boolean;
}

export type Newcomer = Pick<Subscription, "namespace" | "caller" | "account">;

/** Asked each time; 0 is no limit. */
export interface SubscriptionLimits {
  readonly perNamespace: () => number;
  /** Of an unknown address; one that accounts come from has more. */
  readonly perAddress: () => number;
  readonly inAll?: number;
}

export class Subscriptions {
  readonly #byId = new Map<string, Subscription>();
  readonly #byNamespace = new Map<string, Set<Subscription>>();
  readonly #byNetwork = new Map<string, number>();

  constructor(
    private readonly limits: SubscriptionLimits,
    private readonly shared: Pick<Limits, "bounds" | "addresses">,
  ) {}

  get size(): number {
    return this.#byId.size;
  }

  /** Keys of every kind that are held now. */
  get keys(): number {
    return this.#byId.size + this.#byNamespace.size + this.#byNetwork.size;
  }

  [Symbol.iterator](): Iterator<Subscription> {
    return this.#byId.values();
  }

  namespaces(): Iterable<string> {
    return this.#byNamespace.keys();
  }

  of(namespace: string): Iterable<Subscription> {
    return this.#byNamespace.get(namespace) ?? NOBODY;
  }

  /** False when there are as many as may be; that is counted and said. */
  hasRoom({ namespace, caller: { address }, account }: Newcomer): boolean {
    const { bounds, addresses } = this.shared;
    const { inAll = MAX_EVENT_STREAMS } = this.limits;
    const perAddress = addresses.widened(this.limits.perAddress(), address);
    const perNamespace = this.limits.perNamespace();
    const isFull = (held: number, limit: number, bound: string) => {
      if (limit <= 0 || held < limit) return false;
      bounds.refused(bound, { address, account, limit });
      return true;
    };
    return !(
      isFull(this.size, inAll, "hapi-event-streams") ||
      isFull(this.#byNamespace.get(namespace)?.size ?? 0, perNamespace, "account-sockets") ||
      isFull(this.#byNetwork.get(networkOf(address)) ?? 0, perAddress, "hapi-event-streams-per-address")
    );
  }

  add(subscription: Subscription): void {
    const { id, namespace, caller } = subscription;
    const network = networkOf(caller.address);
    this.#byId.set(id, subscription);
    const own = this.#byNamespace.get(namespace);
    if (own === undefined) this.#byNamespace.set(namespace, new Set([subscription]));
    else own.add(subscription);
    this.#byNetwork.set(network, (this.#byNetwork.get(network) ?? 0) + 1);
  }

  remove(subscription: Subscription): void {
    const { id, namespace, caller } = subscription;
    if (!this.#byId.delete(id)) return;
    const own = this.#byNamespace.get(namespace);
    own?.delete(subscription);
    if (own?.size === 0) this.#byNamespace.delete(namespace);
    const network = networkOf(caller.address);
    const left = (this.#byNetwork.get(network) ?? 1) - 1;
    if (left > 0) this.#byNetwork.set(network, left);
    else this.#byNetwork.delete(network);
  }

  /** False when the namespace has no such stream. */
  show(namespace: string, id: string, isVisible: boolean): boolean {
    const subscription = this.#byId.get(id);
    if (subscription?.namespace !== namespace) return false;
    subscription.isVisible = isVisible;
    return true;
  }
}

const NOBODY: readonly Subscription[] = [];
