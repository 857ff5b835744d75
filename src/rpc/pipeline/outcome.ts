// How a call ended, before it has the form of an answer.
import { PartialResult } from "../registry/call-context.ts";
import { RpcError } from "../wire/rpc-error.ts";

export type Outcome =
  | { readonly status: "success"; readonly result: unknown }
  | { readonly status: "partial"; readonly result: unknown; readonly pagination: PartialResult["pagination"] }
  | { readonly status: "error"; readonly error: RpcError };

/** Of what a handler returned. */
export function outcomeOf(value: unknown): Outcome {
  if (value instanceof PartialResult)
    return { status: "partial", result: value.result ?? null, pagination: value.pagination };
  return { status: "success", result: value ?? null };
}

/** Of what was thrown: an RpcError keeps its code, everything else says nothing of itself (contract 5.3, 5.4). */
export function errorOutcome(thrown: unknown): Outcome & { readonly status: "error" } {
  return {
    status: "error",
    error: thrown instanceof RpcError ? thrown : new RpcError(5000, { cause: thrown }),
  };
}
