// Runs in a worker thread: one call at a time of a method that blocks. Modules stay loaded for the thread's life.
import { withBytes } from "../formats/bytes.ts";
import { PartialResult } from "../registry/call-context.ts";
import type { Handler } from "../registry/definition.ts";
import { RpcError } from "../wire/rpc-error.ts";
import { BUILTIN_MODULES } from "./builtin-modules.ts";
import type { CpuAnswer, CpuCall, CpuMessage } from "./messages.ts";
import { threadContext } from "./thread-context.ts";

declare const self: Worker;

type Tell = (said: CpuMessage["said"]) => void;

self.onmessage = async ({ data: call }: MessageEvent<CpuCall>) => {
  const tell: Tell = (said) => self.postMessage({ number: call.number, said } satisfies CpuMessage);
  const answer = await answered(call, tell);
  try {
    tell(answer);
  } catch (error) {
    // A result with a function in it, for example.
    tell(failed(error));
  }
};

async function answered(call: CpuCall, tell: Tell): Promise<CpuAnswer> {
  try {
    const handler = await handlerOf(call);
    const data = call.data === null ? null : (withBytes(call.data) as CpuCall["data"]);
    const value = await handler(data, threadContext(call, tell));
    if (value instanceof PartialResult)
      return { kind: "partial", result: value.result, pagination: value.pagination };
    return { kind: "result", result: value };
  } catch (error) {
    return failed(error);
  }
}

/** As a file of services has it (contract 27.3). */
interface CpuService {
  readonly default?: {
    readonly methods?: Readonly<Record<string, Handler | { readonly run: Handler }>>;
  };
}

async function handlerOf({ module: { path }, facts }: CpuCall): Promise<Handler> {
  const builtin = BUILTIN_MODULES[path];
  const loaded: CpuService = builtin === undefined ? await import(path) : await builtin();
  const methods = loaded.default?.methods ?? {};
  const method = Object.hasOwn(methods, facts.handler) ? methods[facts.handler] : undefined;
  const run = typeof method === "function" ? method : method?.run;
  if (run === undefined) throw new Error(`${path} has no method ${facts.handler}`);
  return run;
}

function failed(error: unknown): CpuAnswer {
  if (error instanceof RpcError) {
    const { code, name, message, details, retryAfterMs } = error;
    return { kind: "refused", code, name, message, details, retryAfterMs };
  }
  const { name, message, stack = "" } = error instanceof Error ? error : new Error(String(error));
  return { kind: "failed", name, message, stack };
}
