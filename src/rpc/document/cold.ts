// What of a document counts from the start of the server on only (contract 16, "Hot: no"): these keys keep what the server was started
// with, and the person is told.
import type { RpcDocument } from "./document.ts";

const COLD = [
  "rpc.base_path",
  "rpc.grpc",
  "rpc.tls",
  "rpc.thrift",
  "security.tls",
  "tracing.otlp_endpoint",
  "tracing.otlp_headers",
  "config",
  "idempotency.store",
  "tasks.max",
  "tasks.store",
  "tasks.redis_url",
  "tasks.long_task_compat",
] as const;

type Tree = Record<string, unknown>;

export interface Warmed {
  readonly document: RpcDocument;
  /** Keys that changed, and count at the next start. */
  readonly atRestart: readonly string[];
}

export function keepCold(started: RpcDocument, next: RpcDocument): Warmed {
  const document: Tree = { ...next };
  const atRestart: string[] = [];
  for (const place of COLD) {
    const [section = "", key] = place.split(".");
    const [old, now] = [started, document].map((one) => at(one as Tree, section, key));
    if (Bun.deepEquals(old, now)) continue;
    atRestart.push(place);
    if (key === undefined) document[section] = old;
    else document[section] = { ...(document[section] as Tree), [key]: old };
  }
  return { document: document as RpcDocument, atRestart };
}

function at(document: Tree, section: string, key: string | undefined): unknown {
  return key === undefined ? document[section] : (document[section] as Tree)[key];
}
