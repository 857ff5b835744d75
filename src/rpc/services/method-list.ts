// Descriptors of methods (contract 15.1), without their schemas: what a client may know of a method before it calls it.
import { FIRST_VERSION, fullName, isCallable, type MethodDefinition } from "../registry/definition.ts";
import { protocolVersion } from "../wire/version.ts";

export function descriptorOf(definition: MethodDefinition) {
  const { service, handler, deprecated, permission } = definition;
  return {
    method: fullName(definition),
    service,
    handler,
    version: definition.version ?? "1.0.0",
    since: definition.since ?? FIRST_VERSION,
    until: definition.until ?? null,
    streaming_input: definition.streamingInput === true,
    streaming_output: definition.streamingOutput === true,
    idempotent: definition.idempotent === true,
    deprecated:
      deprecated === undefined
        ? false
        : {
            since: deprecated.since ?? null,
            sunset_ms: deprecated.sunsetMs ?? null,
            replacement: deprecated.replacement ?? null,
          },
    permission: permission ?? null,
    scopes: definition.scopes ?? [],
    timeout_ms: definition.timeoutMs ?? null,
    cpu: definition.cpu !== undefined,
    aliases: definition.aliases ?? [],
    description: definition.description ?? null,
    source: definition.source,
  };
}

/** By name. A version of the protocol that is none has no methods. */
export function descriptors(
  all: readonly MethodDefinition[],
  { version, service }: { readonly version?: string | undefined; readonly service?: string | undefined },
) {
  return all
    .filter((one) => (service === undefined || one.service === service) && isIn(one, version))
    .map(descriptorOf);
}

const isIn = (one: MethodDefinition, version: string | undefined): boolean =>
  version === undefined || (protocolVersion(version) !== undefined && isCallable(one, version));
