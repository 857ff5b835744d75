// Whether callers are shown what went wrong inside (contract 5.5), and what they are shown then.
import type { RpcDocument } from "../document/document.ts";
import type { DebugInfo, RpcError } from "../wire/rpc-error.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

const ON = new Set(["1", "true", "yes", "on"]);
const DEVELOPMENT = new Set(["dev", "development", "test"]);
const PRODUCTION = new Set(["prod", "production"]);

/** The first rule that fits counts: nothing turns it on in production. */
export function isDebugOn({ debug }: RpcDocument, env: Environment = process.env): boolean {
  const name = env.ADUIB_ENV?.toLowerCase() ?? "";
  if (PRODUCTION.has(name)) return false;
  if (debug.enabled !== undefined) return debug.enabled;
  return ON.has(env.ADUIB_RPC_DEBUG?.toLowerCase() ?? "") || DEVELOPMENT.has(name);
}

export function debugInfo(error: RpcError): DebugInfo {
  const inner = error.cause instanceof Error ? error.cause : error;
  return {
    ...(inner.stack !== undefined && { stack_trace: inner.stack }),
    internal_message: `${inner.name}: ${inner.message}`,
    timestamp_ms: Date.now(),
  };
}
