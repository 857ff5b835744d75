// Asking a CLI to do something. That it is away, slow or refuses is an answer with its text, and nothing that ends the request.
import { RpcBusy, RpcFailure } from "../rpc/rpc.ts";
import { isObject, textAt } from "../wire/shape.ts";
import type { HubCore } from "./core.ts";
import { type Result, refusal } from "./result.ts";

export interface CallOptions {
  readonly timeoutMs?: number;
  /** Called when the CLI has been asked. */
  readonly sent?: () => void;
}

/** The answer as it is, whatever it is; a handler that threw answers `{error}`. */
export async function callCli(
  { rpc }: HubCore,
  id: string,
  method: string,
  params: unknown,
  options?: CallOptions,
): Promise<Result<{ readonly answer: unknown }>> {
  try {
    return { ok: true, answer: await rpc.call(id, method, params, options) };
  } catch (error) {
    if (error instanceof RpcBusy) return refusal("busy", error.message);
    if (error instanceof RpcFailure) return refusal("cli", error.message);
    throw error;
  }
}

/** Why a handler says that it did not do it; undefined for every other answer, null included. */
export const errorOf = (answer: unknown): string | undefined =>
  isObject(answer) ? textAt(answer, "error") : undefined;
