// What the call of a handler to something else failed with, as the error that its own caller is told (contract 5.3): not reached 6002, late
// 6001, anything else on the way 6000. What is the handler's own mistake, or the end of its call, stays what it is.
import { RpcError } from "../wire/rpc-error.ts";

const NOT_REACHED = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ConnectionRefused",
  "FailedToOpenSocket",
]);
const LATE = new Set(["ETIMEDOUT", "ConnectionTimedOut"]);

export function dependencyError(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof RpcError || error.name === "AbortError") return error;
  const code = "code" in error ? String(error.code) : "";
  if (error.name === "TimeoutError" || LATE.has(code)) return new RpcError(6001, { cause: error });
  // Such as an address that is none.
  if (code.startsWith("ERR_")) return error;
  return new RpcError(NOT_REACHED.has(code) ? 6002 : 6000, { cause: error });
}
