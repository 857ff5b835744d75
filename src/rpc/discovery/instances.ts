// Instances of services by tenant (contract 14, 27.4): who is there, how it is, and which one is chosen. An instance is seen in the tenant that
// registered it, and everywhere when it is shared. Time is counted on a clock that only rises; what is told of it is the wall clock's.
import type { RpcDocument } from "../document/document.ts";
import type { HealthStatus } from "../services/health.ts";
import { RpcError } from "../wire/rpc-error.ts";
import { type Balancer, balancer } from "./balancer.ts";
import type { Registration, ServiceInstance } from "./instance.ts";

export type Change =
  | { readonly added: ServiceInstance }
  | { readonly changed: ServiceInstance }
  | { readonly removed: ServiceInstance };

export interface Entry {
  readonly tenant: string;
  readonly isShared: boolean;
  readonly given: Registration;
  health: HealthStatus;
  /** A threshold was reached, or an answer said it: until then nobody knows, and it may be tried. */
  isDecided: boolean;
  successes: number;
  failures: number;
  lastCheckMs: number | null;
  registeredAtMs: number;
  renewedAt: number;
}

/** Beyond its own ttl, for an announcement that is late. */
const GRACE = 1.5;
const MAX_INSTANCES = 10_000;
const MAX_OF_TENANT = 1_000;
const MAX_WATCHED_CHANGES = 10_000;

type Listener = (entry: Entry, change: Change) => void;

export class Instances {
  readonly #entries = new Map<string, Entry>();
  readonly #ofTenant = new Map<string, number>();
  readonly #listeners = new Set<Listener>();
  readonly #balancers = new Map<string, Balancer>();
  readonly #now: () => number;

  constructor(
    private readonly settings: () => RpcDocument["discovery"],
    now: () => number = () => performance.now(),
  ) {
    this.#now = now;
  }

  /** The same id replaces. @throws RpcError 5021 */
  register(tenant: string, given: Registration, isShared: boolean): Entry {
    const key = keyOf(tenant, given.instance_id);
    const before = this.#entries.get(key);
    if (before === undefined) this.#takePlace(tenant);
    const isSame =
      before !== undefined && Bun.deepEquals(before.given, given) && before.isShared === isShared;
    // Whoever says the same again only lives on: what is known of its health counts.
    const known = isSame
      ? before
      : { health: "unknown" as const, isDecided: false, successes: 0, failures: 0, lastCheckMs: null };
    const { health, isDecided, successes, failures, lastCheckMs } = known;
    const entry: Entry = {
      tenant,
      isShared,
      given,
      health,
      isDecided,
      successes,
      failures,
      lastCheckMs,
      registeredAtMs: Date.now(),
      renewedAt: this.#now(),
    };
    this.#entries.set(key, entry);
    if (before === undefined) this.#tell(entry, { added: told(entry) });
    else if (!isSame) this.#tell(entry, { changed: told(entry) });
    return entry;
  }

  /** Unix milliseconds at which it expires. @throws RpcError 4000 */
  renew(tenant: string, id: string): Entry {
    this.expire();
    const entry = this.#entries.get(keyOf(tenant, id));
    if (entry === undefined) throw new RpcError(4000);
    entry.registeredAtMs = Date.now();
    entry.renewedAt = this.#now();
    return entry;
  }

  /** False: it was not there. */
  remove(tenant: string, id: string): boolean {
    const entry = this.#entries.get(keyOf(tenant, id));
    if (entry === undefined) return false;
    this.#drop(entry);
    return true;
  }

  /** Those that a tenant sees, by id. */
  list(tenant: string, service?: string): Entry[] {
    this.expire();
    return [...this.#entries.values()]
      .filter((one) => isSeenBy(one, tenant) && (service === undefined || one.given.service_name === service))
      .sort((a, b) => (a.given.instance_id < b.given.instance_id ? -1 : 1));
  }

  /** Undefined where none can be chosen. `key`: for balancing by it. */
  choose(tenant: string, service: string, key: string): Entry | undefined {
    const settings = this.settings();
    const all = this.list(tenant, service).filter(({ given }) => given.weight > 0);
    let fit = all.filter((one) => isFit(one, settings));
    if (fit.length === 0 && settings.fallback_to_any) fit = all;
    if (fit.length === 0) return undefined;
    const name = `${tenant}|${service}|${settings.balancer}`;
    let chosen = this.#balancers.get(name);
    if (chosen === undefined) {
      // One for each service that was asked for while it had instances; as many as there may be of these.
      if (this.#balancers.size >= MAX_INSTANCES) this.#balancers.clear();
      chosen = balancer(settings.balancer);
      this.#balancers.set(name, chosen);
    }
    const id = chosen.choose(
      fit.map((one) => ({ id: keyOf(one.tenant, one.given.instance_id), weight: one.given.weight })),
      key,
    );
    return fit.find((one) => keyOf(one.tenant, one.given.instance_id) === id);
  }

  /** What a check found; undefined for no answer. */
  checked(entry: Entry, answer: HealthStatus | undefined): void {
    if (this.#entries.get(keyOf(entry.tenant, entry.given.instance_id)) !== entry) return;
    const { healthy_threshold, unhealthy_threshold } = this.settings();
    entry.lastCheckMs = Date.now();
    const isFailure = answer === undefined || answer === "unhealthy";
    entry.failures = isFailure ? entry.failures + 1 : 0;
    entry.successes = answer === "healthy" ? entry.successes + 1 : 0;
    if (answer === "degraded" || answer === "unknown") this.#become(entry, answer);
    else if (entry.failures >= unhealthy_threshold) this.#become(entry, "unhealthy");
    else if (entry.successes >= healthy_threshold) this.#become(entry, "healthy");
  }

  /** Takes away those that were not renewed in time. */
  expire(): void {
    const now = this.#now();
    for (const entry of [...this.#entries.values()])
      if (now - entry.renewedAt > entry.given.ttl_seconds * GRACE * 1_000) this.#drop(entry);
  }

  entries(): Iterable<Entry> {
    return this.#entries.values();
  }

  has(entry: Entry): boolean {
    return this.#entries.get(keyOf(entry.tenant, entry.given.instance_id)) === entry;
  }

  /** Changes of what a tenant sees, until the signal fires; its reader may be slow, but not for ever. @throws RpcError 5021 */
  async *changes(tenant: string, service: string | undefined, signal: AbortSignal): AsyncGenerator<Change> {
    const waiting: Change[] = [];
    let wake: (() => void) | undefined;
    let isTooSlow = false;
    const listener: Listener = (entry, change) => {
      if (!isSeenBy(entry, tenant) || (service !== undefined && entry.given.service_name !== service)) return;
      if (waiting.length >= MAX_WATCHED_CHANGES) isTooSlow = true;
      else waiting.push(change);
      wake?.();
    };
    const ended = () => wake?.();
    this.#listeners.add(listener);
    signal.addEventListener("abort", ended, { once: true });
    try {
      while (!signal.aborted) {
        const change = waiting.shift();
        if (change !== undefined) yield change;
        else if (isTooSlow) throw new RpcError(5021, { message: "the changes were not read in time" });
        else
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
      }
    } finally {
      this.#listeners.delete(listener);
      signal.removeEventListener("abort", ended);
    }
  }

  #become(entry: Entry, health: HealthStatus): void {
    entry.isDecided = true;
    if (entry.health === health) return;
    entry.health = health;
    this.#tell(entry, { changed: told(entry) });
  }

  #takePlace(tenant: string): void {
    this.expire();
    const own = this.#ofTenant.get(tenant) ?? 0;
    if (this.#entries.size >= MAX_INSTANCES || own >= MAX_OF_TENANT)
      throw new RpcError(5021, { message: "There are too many instances" });
    this.#ofTenant.set(tenant, own + 1);
  }

  #drop(entry: Entry): void {
    this.#entries.delete(keyOf(entry.tenant, entry.given.instance_id));
    const left = (this.#ofTenant.get(entry.tenant) ?? 1) - 1;
    if (left === 0) this.#ofTenant.delete(entry.tenant);
    else this.#ofTenant.set(entry.tenant, left);
    this.#tell(entry, { removed: told(entry) });
  }

  #tell(entry: Entry, change: Change): void {
    for (const listener of [...this.#listeners]) listener(entry, change);
  }
}

/** As clients see it. */
export const told = ({ given, health, lastCheckMs, registeredAtMs }: Entry): ServiceInstance => ({
  ...given,
  health,
  last_health_check_ms: lastCheckMs,
  registered_at_ms: registeredAtMs,
});

export const expiresAtMs = ({ given, registeredAtMs }: Entry): number =>
  registeredAtMs + given.ttl_seconds * GRACE * 1_000;

/** Tenants hold no such sign. */
const keyOf = (tenant: string, id: string): string => `${tenant}|${id}`;

const isSeenBy = (entry: Entry, tenant: string): boolean => entry.isShared || entry.tenant === tenant;

function isFit(
  { health, isDecided }: Entry,
  { allow_degraded, require_first_check }: RpcDocument["discovery"],
): boolean {
  if (!isDecided) return !require_first_check;
  return health === "healthy" || (health === "degraded" && allow_degraded);
}
