// SystemService (contract 27.1): what this server is, does and is told, and how a service is emptied. All but its name is for operators.
import { z } from "zod";
import type { RpcDocument } from "../document/document.ts";
import type { MethodDefinition } from "../registry/definition.ts";
import { zodParams } from "../registry/params.ts";
import type { Registry } from "../registry/registry.ts";
import type { LiveStream } from "../streams/live-stream.ts";
import { rpcError } from "../wire/rpc-error.ts";
import type { CallFigures } from "./figures.ts";
import { maskedDocument } from "./masked.ts";
import { descriptors } from "./method-list.ts";

export interface SystemParts {
  readonly registry: Registry;
  readonly document: () => RpcDocument;
  readonly server: { readonly id: string; readonly version: string };
  /** Those that are served now. */
  readonly transports: () => readonly string[];
  readonly figures: CallFigures;
  readonly streams: Iterable<LiveStream>;
  readonly tasks: () => Promise<unknown>;
}

const drain = z.object({ service: z.string().min(1).max(256), drain: z.boolean().default(true) });
const filter = z.object({ version: z.string().max(32).nullish(), service: z.string().max(256).nullish() });

/** Without them nobody could undo it. */
const ALWAYS = new Set(["SystemService", "HealthService"]);

export function systemService(parts: SystemParts): readonly MethodDefinition[] {
  const { registry, document, server, figures, streams } = parts;
  const startedAt = performance.now();
  const common = { service: "SystemService", source: "builtin" } as const;
  const read = {
    ...common,
    idempotent: true,
    guard: "operator",
    permission: { resource: "system", action: "read" },
  } as const;
  return [
    {
      ...common,
      handler: "Info",
      description: "what this server is",
      isOpen: true,
      idempotent: true,
      run: () => ({
        version: server.version,
        server_id: document().server.id ?? server.id,
        uptime_ms: Math.floor(performance.now() - startedAt),
        transports: parts.transports(),
        formats: document().protocol.content_types,
        compressions: document().protocol.compressions,
        protocol_versions: document().protocol.supported_versions,
      }),
    },
    {
      ...common,
      handler: "Methods",
      description: "the methods that can be called",
      isOpen: true,
      idempotent: true,
      params: zodParams(filter),
      run: (data) => {
        const { version, service } = filter.parse(data ?? {});
        return {
          methods: descriptors(registry.list(), {
            version: version ?? undefined,
            service: service ?? undefined,
          }),
        };
      },
    },
    {
      ...read,
      handler: "Stats",
      description: "calls, errors and durations of each method since the start",
      run: () => {
        const names = new Set(descriptors(registry.list(), {}).map(({ method }) => method));
        return { methods: figures.list((method) => names.has(method)) };
      },
    },
    {
      ...read,
      handler: "Config",
      description: "the document that counts now, without secrets",
      run: () => maskedDocument(document()),
    },
    {
      ...read,
      handler: "Streams",
      description: "streams that run on this node",
      run: () => ({
        streams: [...streams].map(({ id, call, state, lastSequence, window }) => ({
          stream_id: id,
          method: call.methodName,
          tenant: call.tenant,
          principal: call.identity.id,
          transport: call.incoming.transport,
          state,
          age_ms: Math.floor(performance.now() - call.incoming.startedAt),
          last_sequence: lastSequence,
          acked_sequence: window.acked,
        })),
      }),
    },
    {
      ...read,
      handler: "Tasks",
      description: "tasks that are not over, and how many there are of each status",
      run: () => parts.tasks(),
    },
    {
      ...common,
      handler: "Drain",
      description: "lets a service take no more calls, or take them again",
      guard: "operator",
      idempotent: true,
      permission: { resource: "system", action: "write" },
      params: zodParams(drain),
      run: (data, { log, principal }) => {
        const { service, drain: isDrained } = drain.parse(data);
        if (ALWAYS.has(service))
          throw rpcError(2003, "InvalidField", "is always served", { field: "data.service" });
        registry.drain(service, isDrained);
        log.warn(
          { service, principal: principal.id },
          isDrained ? "a service takes no more calls" : "a service takes calls again",
        );
        return { service, draining: isDrained };
      },
    },
  ];
}
