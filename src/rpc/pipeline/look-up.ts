// Stage 10: the method, in the negotiated version, and what a caller is told of one that goes away (contract 15.2, 15.3).
import type { MethodDefinition } from "../registry/definition.ts";
import type { Registry } from "../registry/registry.ts";
import { RpcError, rpcError } from "../wire/rpc-error.ts";
import type { Call } from "./call.ts";

/** @throws RpcError 4001, 4002, 4020; 2000 for a call of the wrong kind; 5002 of a service that takes none */
export function lookUp(call: Call, registry: Registry, deprecatedCall: (method: string) => void): void {
  const { method: name } = call.asked;
  const { method, full, aliasOf } = registry.find(name.full, name.service, call.version ?? "");
  call.method = method;
  call.methodName = full;
  call.aliasOf = aliasOf;
  if (method.deprecated !== undefined) deprecated(call, method.deprecated, deprecatedCall);
  const { kind } = call.incoming;
  if (kind === "unary" && method.streamingOutput === true)
    throw rpcError(2000, "stream", "the method streams: call it at the endpoint of streams");
  if ((kind === "client-stream" || kind === "both") && method.streamingInput !== true)
    throw rpcError(2000, "stream", "the method takes one message only");
  if (registry.isDrained(method.service))
    throw new RpcError(5002, { message: "The service takes no calls for now" });
}

function deprecated(
  call: Call,
  { sunsetMs, replacement }: NonNullable<MethodDefinition["deprecated"]>,
  deprecatedCall: (method: string) => void,
): void {
  const policy = call.config.registry.deprecated_policy;
  if (policy === "ignore") return;
  const isOver = sunsetMs !== undefined && sunsetMs <= call.incoming.startedAtMs;
  if (policy === "error" || isOver)
    throw new RpcError(4020, {
      details: [
        {
          type: "aduib.rpc/MethodDeprecated",
          field: "method",
          reason: isOver ? "its time is over" : "is deprecated",
          metadata: { replacement: replacement ?? null, sunset_ms: sunsetMs ?? null },
        },
      ],
    });
  deprecatedCall(call.methodName);
  call.headers.deprecation = "true";
  call.httpHeaders.deprecation = "true";
  if (sunsetMs !== undefined) {
    const sunset = new Date(sunsetMs).toUTCString();
    call.headers.sunset = sunset;
    call.httpHeaders.sunset = sunset;
  }
  if (replacement !== undefined) {
    call.headers.replacement = replacement;
    call.httpHeaders.link = `<${replacement}>; rel="successor-version"`;
  }
}
