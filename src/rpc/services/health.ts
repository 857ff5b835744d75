// How the services of this room are (contract 14), told in one place for calls, watchers and probes: the worst of what is known of each.
//
// - A dependency that fails makes the services that need it unhealthy, or degraded where it says so; a breaker that is open makes its service degraded, for the tenants whose
//   calls it refuses: one tenant's failures are not another one's news. A service that is drained is unhealthy.
// - Everybody may ask, as often as they like: checks run at most once a second, and hold nobody up.
import { within } from "../../within.ts";
import type { GuardKey } from "../document/document.ts";
import type { Registry } from "../registry/registry.ts";
import type { BreakerState } from "../resilience/breaker.ts";

export type HealthStatus = "healthy" | "unhealthy" | "degraded" | "unknown";

export interface Health {
  readonly status: HealthStatus;
  readonly services: Readonly<Record<string, HealthStatus>>;
}

/** Something that services need, such as a database. */
export interface Dependency {
  readonly name: string;
  /** Undefined: all of them do. */
  readonly services?: readonly string[];
  /** How they are without it, where they still do most of their work; else they are unhealthy. */
  readonly without?: "degraded";
  /** @throws when it cannot do its work. */
  run(): void | Promise<void>;
}

export interface HealthParts {
  readonly registry: Registry;
  /** By name, as `dimensions` make it. */
  readonly breakers: () => Iterable<readonly [name: string, state: BreakerState]>;
  readonly dimensions: () => readonly GuardKey[];
  readonly failed: (dependency: string, error: unknown) => void;
  /** Monotonic. */
  readonly now?: () => number;
}

const ORDER: readonly HealthStatus[] = ["healthy", "unknown", "degraded", "unhealthy"];
const worstOf = (all: readonly HealthStatus[]): HealthStatus =>
  ORDER[Math.max(0, ...all.map((status) => ORDER.indexOf(status)))] ?? "unknown";
const isOfAll = ({ services }: Dependency): boolean => services === undefined;

const CHECK_MS = 2_000;
const FRESH_MS = 1_000;
/** Breakers are looked through at most so often, however many ask. */
const BREAKERS_FRESH_MS = 250;

export class HealthSource {
  readonly #dependencies = new Map<string, Dependency>();
  readonly #failing = new Set<string>();
  readonly #now: () => number;
  #checkedAt = Number.NEGATIVE_INFINITY;
  #checking: Promise<void> | undefined;
  #degraded: Degraded = { at: Number.NEGATIVE_INFINITY, keys: new Set() };

  constructor(private readonly parts: HealthParts) {
    this.#now = parts.now ?? (() => performance.now());
  }

  /** @returns a function that ends it */
  depend(dependency: Dependency): () => void {
    this.#dependencies.set(dependency.name, dependency);
    this.#checkedAt = Number.NEGATIVE_INFINITY;
    return () => {
      this.#dependencies.delete(dependency.name);
      this.#failing.delete(dependency.name);
    };
  }

  /** Of one service, or of all. */
  async of(tenant: string, service?: string): Promise<Health> {
    await this.#check();
    const names = service === undefined ? this.parts.registry.services() : [service];
    const services = Object.fromEntries(names.map((name) => [name, this.#statusOf(name, tenant)]));
    const all = service === undefined ? this.#without(isOfAll) : [];
    return { status: worstOf([...Object.values(services), ...all]), services };
  }

  #statusOf(name: string, tenant: string): HealthStatus {
    const { registry } = this.parts;
    if (!registry.hasService(name)) return "unknown";
    if (registry.isDrained(name)) return "unhealthy";
    const open = this.#openBreakers();
    const places = [`${name}|${tenant}`, `${name}|`, `|${tenant}`, "|"];
    const broken = places.some((place) => open.has(place)) ? (["degraded"] as const) : [];
    const needs = (one: Dependency) => isOfAll(one) || one.services?.includes(name) === true;
    return worstOf([...broken, ...this.#without(needs)]);
  }

  /** What those that fail make of who needs them. */
  #without(isNeeded: (dependency: Dependency) => boolean): HealthStatus[] {
    return [...this.#failing].flatMap((name) => {
      const dependency = this.#dependencies.get(name);
      return dependency !== undefined && isNeeded(dependency) ? [dependency.without ?? "unhealthy"] : [];
    });
  }

  /** `<service>|<tenant>`, either empty where breakers do not tell it apart. */
  #openBreakers(): ReadonlySet<string> {
    const now = this.#now();
    if (now - this.#degraded.at < BREAKERS_FRESH_MS) return this.#degraded.keys;
    const dimensions = this.parts.dimensions();
    const keys = new Set<string>();
    for (const [name, state] of this.parts.breakers())
      if (state === "open") keys.add(placeOf(name.split("|"), dimensions));
    this.#degraded = { at: now, keys };
    return keys;
  }

  async #check(): Promise<void> {
    if (this.#now() - this.#checkedAt < FRESH_MS) return;
    this.#checking ??= this.#checkAll().finally(() => {
      this.#checkedAt = this.#now();
      this.#checking = undefined;
    });
    await this.#checking;
  }

  async #checkAll(): Promise<void> {
    await Promise.all(
      [...this.#dependencies.values()].map(async (dependency) => {
        const { name } = dependency;
        try {
          await within(CHECK_MS, dependency.run(), () => new Error(`no answer within ${CHECK_MS} ms`));
          this.#failing.delete(name);
        } catch (error) {
          // Told when it begins to fail, not each time somebody asks.
          if (this.#dependencies.get(name) !== dependency || this.#failing.has(name)) return;
          this.#failing.add(name);
          this.parts.failed(name, error);
        }
      }),
    );
  }
}

interface Degraded {
  readonly at: number;
  readonly keys: ReadonlySet<string>;
}

/** No part of a name holds the separator. */
function placeOf(parts: readonly string[], dimensions: readonly GuardKey[]): string {
  const part = (dimension: GuardKey): string | undefined => {
    const at = dimensions.indexOf(dimension);
    return at < 0 ? undefined : parts[at];
  };
  const service = part("service") ?? part("method")?.split("/")[1] ?? "";
  return `${service}|${part("tenant") ?? ""}`;
}
