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
  /** Its last word came to this node. */
  isOwn: boolean;
}

export interface Put {
  readonly tenant: string;
  readonly given: Registration;
  readonly isShared: boolean;
  readonly ageMs?: number;
  readonly isOwn?: boolean;
}

interface Held {
  readonly places: number;
  readonly bytes: number;
}
const NOTHING: Held = { places: 0, bytes: 0 };

/** Beyond its own ttl, for an announcement that is late. */
const GRACE = 1.5;
const MAX_INSTANCES = 10_000;
const MAX_OF_TENANT = 1_000;
const MAX_BYTES = 64 * 1024 * 1024;
const MAX_BYTES_OF_TENANT = 16 * 1024 * 1024;
const MAX_WATCHED_CHANGES = 10_000;

type Listener = (entry: Entry, change: Change) => void;

export class Instances {
  readonly #entries = new Map<string, Entry>();
  readonly #ofTenant = new Map<string, Held>();
  #all: Held = NOTHING;
  readonly #listeners = new Set<Listener>();
  readonly #balancers = new Map<string, Balancer>();
  readonly #now: () => number;

  constructor(
    private readonly settings: () => RpcDocument["discovery"],
    now: () => number = () => performance.now(),
    /** Nobody renewed it in time. */
    private readonly expired?: (entry: Entry) => void,
  ) {
    this.#now = now;
  }

  /** The same id replaces. @throws RpcError 5021 */
  register(tenant: string, given: Registration, isShared: boolean): Entry {
    this.place(tenant, given)();
    return this.put({ tenant, given, isShared });
  }

  /** Held until it is given back, right before the instance is put there. @throws RpcError 5021 */
  place(tenant: string, given: Registration): () => void {
    const before = this.#entries.get(keyOf(tenant, given.instance_id));
    if (before === undefined) this.expire();
    const places = before === undefined ? 1 : 0;
    const bytes = bytesOf(given) - (before ? bytesOf(before.given) : 0);
    const own = this.#ofTenant.get(tenant) ?? NOTHING;
    const isTooMany =
      this.#all.places + places > MAX_INSTANCES ||
      own.places + places > MAX_OF_TENANT ||
      (bytes > 0 && (this.#all.bytes + bytes > MAX_BYTES || own.bytes + bytes > MAX_BYTES_OF_TENANT));
    if (isTooMany) throw new RpcError(5021, { message: "There are too many instances" });
    this.#take(tenant, places, bytes);
    let isHeld = true;
    return () => {
      if (isHeld) this.#take(tenant, -places, -bytes);
      isHeld = false;
    };
  }

  /** The same id replaces, whether there is a place or not. `ageMs`: of its last word. */
  put({ tenant, given, isShared, ageMs = 0, isOwn = true }: Put): Entry {
    const key = keyOf(tenant, given.instance_id);
    const before = this.#entries.get(key);
    const times = { registeredAtMs: Date.now() - ageMs, renewedAt: this.#now() - ageMs, isOwn };
    // Whoever says the same again only lives on: what is known of its health counts.
    if (before !== undefined && before.isShared === isShared && Bun.deepEquals(before.given, given))
      return Object.assign(before, times);
    this.#take(tenant, before === undefined ? 1 : 0, bytesOf(given) - (before ? bytesOf(before.given) : 0));
    const entry: Entry = {
      tenant,
      isShared,
      given,
      health: "unknown",
      isDecided: false,
      successes: 0,
      failures: 0,
      lastCheckMs: null,
      ...times,
    };
    this.#entries.set(key, entry);
    this.#tell(entry, before === undefined ? { added: told(entry) } : { changed: told(entry) });
    return entry;
  }

  /** @throws RpcError 4000 */
  renew(tenant: string, id: string): Entry {
    const { given, isShared } = this.known(tenant, id);
    return this.put({ tenant, given, isShared });
  }

  /** Of a tenant's own. @throws RpcError 4000 */
  known(tenant: string, id: string): Entry {
    this.expire();
    const entry = this.#entries.get(keyOf(tenant, id));
    if (entry === undefined) throw new RpcError(4000);
    return entry;
  }

  find(tenant: string, id: string): Entry | undefined {
    return this.#entries.get(keyOf(tenant, id));
  }

  /** How long ago it was registered or renewed. */
  ageMs(entry: Entry): number {
    return Math.max(0, this.#now() - entry.renewedAt);
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
      if (now - entry.renewedAt > lifeMs(entry.given)) {
        this.#drop(entry);
        this.expired?.(entry);
      }
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

  #take(tenant: string, places: number, bytes: number): void {
    const own = this.#ofTenant.get(tenant) ?? NOTHING;
    const now = { places: own.places + places, bytes: own.bytes + bytes };
    if (now.places === 0 && now.bytes === 0) this.#ofTenant.delete(tenant);
    else this.#ofTenant.set(tenant, now);
    this.#all = { places: this.#all.places + places, bytes: this.#all.bytes + bytes };
  }

  #drop(entry: Entry): void {
    this.#entries.delete(keyOf(entry.tenant, entry.given.instance_id));
    this.#take(entry.tenant, -1, -bytesOf(entry.given));
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

export const lifeMs = ({ ttl_seconds }: Registration): number => ttl_seconds * GRACE * 1_000;

export const expiresAtMs = ({ given, registeredAtMs }: Entry): number => registeredAtMs + lifeMs(given);

const sizes = new WeakMap<Registration, number>();
/** As text. */
export function bytesOf(given: Registration): number {
  const known = sizes.get(given) ?? Buffer.byteLength(JSON.stringify(given));
  sizes.set(given, known);
  return known;
}

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
