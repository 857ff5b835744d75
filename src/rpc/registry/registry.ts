// Every method that can be called here, whoever brought it, found by its full name and the negotiated version (contract 15).
import { methodName } from "../wire/method-name.ts";
import { detail, RpcError } from "../wire/rpc-error.ts";
import { compareVersions } from "../wire/version.ts";
import { FIRST_VERSION, fullName, isCallable, type MethodDefinition } from "./definition.ts";

export interface Found {
  readonly method: MethodDefinition;
  readonly full: string;
  /** The name that was called, where it is another one's alias. */
  readonly aliasOf: string | undefined;
}

export class Registry {
  /** By full name: of several, each has versions of its own. */
  readonly #methods = new Map<string, readonly MethodDefinition[]>();
  readonly #aliases = new Map<string, string>();
  readonly #services = new Map<string, number>();
  /** Those that take no calls for now. */
  readonly #drained = new Set<string>();
  readonly #listeners = new Set<() => void>();

  /** All or none of them. @throws Error with a sentence for what is taken or is no name */
  register(definitions: readonly MethodDefinition[]): void {
    for (const [index, definition] of definitions.entries()) {
      const full = fullName(definition);
      if (methodName(full)?.full !== full) throw new Error(`${full} is no method name.`);
      if (definition.cpu !== undefined && (definition.streamingInput || definition.streamingOutput))
        throw new Error(`${full} cannot have a thread of its own and stream as well.`);
      const rivals = [
        ...(this.#methods.get(full) ?? []),
        ...definitions.slice(0, index).filter((other) => fullName(other) === full),
      ];
      if (rivals.some((other) => overlap(other, definition)))
        throw new Error(`${full} is there already in the same versions of the protocol.`);
      if (this.#aliases.has(full)) throw new Error(`${full} is an alias of ${this.#aliases.get(full)}.`);
      for (const alias of definition.aliases ?? []) this.#refuseAlias(alias, full);
    }
    for (const definition of definitions) {
      const full = fullName(definition);
      this.#methods.set(full, [...(this.#methods.get(full) ?? []), definition]);
      this.#services.set(definition.service, (this.#services.get(definition.service) ?? 0) + 1);
      for (const alias of definition.aliases ?? []) this.#aliases.set(alias, full);
    }
    this.#changed();
  }

  /** Those that are there; running calls go on. */
  remove(definitions: readonly MethodDefinition[]): void {
    for (const definition of definitions) {
      const full = fullName(definition);
      const known = this.#methods.get(full) ?? [];
      if (!known.includes(definition)) continue;
      const left = known.filter((other) => other !== definition);
      if (left.length === 0) this.#methods.delete(full);
      else this.#methods.set(full, left);
      const ofService = (this.#services.get(definition.service) ?? 1) - 1;
      if (ofService === 0) {
        this.#services.delete(definition.service);
        this.#drained.delete(definition.service);
      } else this.#services.set(definition.service, ofService);
      for (const alias of definition.aliases ?? []) this.#aliases.delete(alias);
    }
    this.#changed();
  }

  /** @throws RpcError 4002 without the service, 4001 without the method in this version */
  find(name: string, service: string, version: string): Found {
    const target = this.#aliases.get(name);
    const full = target ?? name;
    const known = this.#methods.get(full);
    if (known === undefined) throw this.#unknown(full, target === undefined ? service : undefined);
    for (const method of known)
      if (isCallable(method, version))
        return { method, full, aliasOf: target === undefined ? undefined : name };
    throw new RpcError(4001, {
      details: [
        detail("MethodNotFound", "is not in the negotiated version", {
          field: "method",
          metadata: { available_in: known.map(({ since = FIRST_VERSION }) => since), negotiated: version },
        }),
      ],
    });
  }

  /** Whether what the name, or alias, means gives a stream in any version. */
  streams(name: string): boolean {
    const known = this.#methods.get(this.#aliases.get(name) ?? name) ?? [];
    return known.some(({ streamingOutput }) => streamingOutput === true);
  }

  /** Calls of it are refused from now on, until it is undone; those that run go on. @throws RpcError 4002 */
  drain(service: string, isDrained: boolean): void {
    if (!this.#services.has(service)) throw this.#unknown("", service);
    if (isDrained) this.#drained.add(service);
    else this.#drained.delete(service);
    this.#changed();
  }

  isDrained(service: string): boolean {
    return this.#drained.has(service);
  }

  hasService(service: string): boolean {
    return this.#services.has(service);
  }

  services(): string[] {
    return [...this.#services.keys()].sort();
  }

  /** By name. */
  list(): MethodDefinition[] {
    return [...this.#methods.keys()].sort().flatMap((full) => this.#methods.get(full) ?? []);
  }

  /** @returns a function that ends it */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #unknown(full: string, service: string | undefined): RpcError {
    const name = service ?? methodName(full)?.service ?? "";
    const field = { field: "method" };
    if (this.#services.has(name))
      return new RpcError(4001, {
        details: [
          detail(
            "MethodNotFound",
            "no such method of the service: rpc.v2/SystemService/Methods lists them",
            field,
          ),
        ],
      });
    return new RpcError(4002, {
      details: [
        detail("ServiceNotFound", "no such service: rpc.v2/SystemService/Methods lists what there is", field),
      ],
    });
  }

  #refuseAlias(alias: string, full: string): void {
    if (methodName(alias)?.full !== alias) throw new Error(`${alias} is no method name.`);
    const taken = this.#aliases.get(alias);
    if (this.#methods.has(alias) || (taken !== undefined && taken !== full))
      throw new Error(`The alias ${alias} of ${full} is taken.`);
  }

  #changed(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}

function overlap(a: MethodDefinition, b: MethodDefinition): boolean {
  const begins = (one: MethodDefinition, other: MethodDefinition) =>
    other.until === undefined || compareVersions(one.since ?? FIRST_VERSION, other.until) < 0;
  return begins(a, b) && begins(b, a);
}
