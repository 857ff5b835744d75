// DiscoveryService (contract 27.4): programs register instances of services, others find them. Registering is for who is proved and permitted,
// or on this machine; what a tenant registers is its own.
import { z } from "zod";
import type { RpcDocument } from "../document/document.ts";
import type { CallContext } from "../registry/call-context.ts";
import type { MethodDefinition, Permission } from "../registry/definition.ts";
import { zodParams } from "../registry/params.ts";
import { rpcError } from "../wire/rpc-error.ts";
import { MAX_INSTANCE_BYTES, registration } from "./instance.ts";
import { bytesOf, expiresAtMs, type Instances, told } from "./instances.ts";
import type { Registrations } from "./registrations.ts";
import { hostProblem } from "./targets.ts";

export interface DiscoveryServiceParts {
  /** For who reads. */
  readonly instances: Instances;
  readonly registrations: Registrations;
  readonly settings: () => RpcDocument["discovery"];
  /** Whether roles give the caller this too. */
  readonly permits: (context: CallContext, permission: Permission) => boolean;
}

const service = z.string().min(1).max(200);
const register = z.object({ instance: registration, shared: z.boolean().default(false) });
const one = z.object({ instance_id: z.string().min(1).max(128) });
const list = z.object({ service_name: service.nullish(), healthy_only: z.boolean().default(false) });
const resolve = z.object({ service_name: service, key: z.string().max(256).nullish() });
const watch = z.object({ service_name: service.nullish() });

export function discoveryService({
  instances,
  registrations,
  settings,
  permits,
}: DiscoveryServiceParts): readonly MethodDefinition[] {
  const common = { service: "DiscoveryService", source: "builtin" } as const;
  const write = {
    ...common,
    guard: "registrar",
    permission: { resource: "discovery", action: "write" },
  } as const;
  const read = {
    ...common,
    permission: { resource: "discovery", action: "read" },
    idempotent: true,
  } as const;
  return [
    {
      ...write,
      handler: "Register",
      idempotent: true,
      description: "an instance is there, until its ttl runs out",
      params: zodParams(register),
      run: async (data, context) => {
        const { instance, shared } = register.parse(data);
        const share = { resource: "discovery", action: "share" };
        if (shared && !permits(context, share))
          throw rpcError(3011, "permission_denied", "insufficient_permissions", {
            field: "permission",
            metadata: { principal_id: context.principal.id, ...share },
          });
        if (bytesOf(instance) > MAX_INSTANCE_BYTES)
          throw rpcError(2003, "InvalidField", `must have at most ${MAX_INSTANCE_BYTES} bytes as text`, {
            field: "instance",
          });
        const problem = await hostProblem(instance.host, settings().allowed_targets);
        if (problem !== undefined) throw rpcError(2003, "InvalidField", problem, { field: "instance.host" });
        const entry = await registrations.register(context.tenant_id, instance, shared);
        return {
          instance_id: instance.instance_id,
          health: entry.health,
          ttl_seconds: instance.ttl_seconds,
          expires_at_ms: expiresAtMs(entry),
        };
      },
    },
    {
      ...write,
      handler: "Renew",
      idempotent: true,
      description: "an instance is still there",
      params: zodParams(one),
      run: async (data, { tenant_id }) => ({
        expires_at_ms: expiresAtMs(await registrations.renew(tenant_id, one.parse(data).instance_id)),
      }),
    },
    {
      ...write,
      handler: "Deregister",
      idempotent: true,
      description: "an instance is gone",
      params: zodParams(one),
      run: async (data, { tenant_id }) => ({
        removed: await registrations.remove(tenant_id, one.parse(data).instance_id),
      }),
    },
    {
      ...read,
      handler: "List",
      description: "the instances that there are, and how they are",
      params: zodParams(list),
      run: (data, { tenant_id }) => {
        const { service_name, healthy_only } = list.parse(data ?? {});
        const all = instances.list(tenant_id, service_name ?? undefined);
        return { instances: all.filter(({ health }) => !healthy_only || health === "healthy").map(told) };
      },
    },
    {
      ...read,
      handler: "Resolve",
      description: "one instance to call",
      params: zodParams(resolve),
      run: (data, { tenant_id, headers }) => {
        const { service_name, key } = resolve.parse(data);
        const chosen = instances.choose(
          tenant_id,
          service_name,
          key ?? headers["x-aduib-lb-key"] ?? tenant_id,
        );
        if (chosen === undefined) throw rpcError(5002, "no_instance", "no instance can be called");
        return { instance: told(chosen) };
      },
    },
    {
      ...read,
      handler: "Watch",
      description: "the instances that there are, then each change",
      streamingOutput: true,
      params: zodParams(watch),
      run: async function* (data, { tenant_id, signal }) {
        const service_name = watch.parse(data ?? {}).service_name ?? undefined;
        // Heard from before the list is read: what changes in between is told after it.
        const changes = instances.changes(tenant_id, service_name, signal);
        const first = changes.next();
        yield { instances: instances.list(tenant_id, service_name).map(told) };
        try {
          for (let next = await first; next.done !== true; next = await changes.next()) yield next.value;
        } finally {
          await changes.return(undefined);
        }
      },
    },
  ];
}
