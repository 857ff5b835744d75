// An error as it crosses the wire (contract 3.4). A handler that throws one on purpose keeps its code; whatever else it throws becomes
// INTERNAL_ERROR with the default text.
import { errorCode } from "./error-codes.ts";

/** Types of details that the server itself gives; part of the contract. */
export type DetailName =
  | "InvalidId"
  | "InvalidMethod"
  | "InvalidField"
  | "MissingField"
  | "UnsupportedVersion"
  | "UnsupportedContentType"
  | "NotAcceptable"
  | "UnsupportedCompression"
  | "MethodNotFound"
  | "ServiceNotFound"
  | "MethodDeprecated"
  | "permission_denied"
  | "rate_limit"
  | "bulkhead"
  | "circuit_open"
  | "idempotency"
  | "task"
  | "stream"
  | "no_instance"
  | "loop"
  | "ResourceNotFound";

export interface ErrorDetail {
  /** A URI, or `aduib.rpc/<Name>`. */
  readonly type: string;
  /** Dotted path; of a list the index as a number. */
  readonly field?: string;
  readonly reason: string;
  readonly metadata?: Readonly<Record<string, unknown>>;
}

export interface DebugInfo {
  readonly stack_trace?: string;
  readonly internal_message?: string;
  readonly timestamp_ms: number;
}

/** As it is written into a Response. */
export interface ErrorBody {
  readonly code: number;
  readonly name: string;
  readonly message: string;
  readonly details?: readonly ErrorDetail[];
  readonly debug?: DebugInfo;
}

const INTERNAL = 5000;
const MAX_MESSAGE = 1_024;
/** Of one answer, however much is wrong (contract 5.3). */
export const MAX_DETAILS = 20;

export interface RpcErrorParts {
  /** Of the table where absent. */
  readonly message?: string | undefined;
  /** Of a code that is not in the table. */
  readonly name?: string | undefined;
  readonly details?: readonly ErrorDetail[];
  readonly cause?: unknown;
  /** Until it is worth trying again: becomes `Retry-After`. */
  readonly retryAfterMs?: number;
}

export class RpcError extends Error {
  readonly code: number;
  readonly details: readonly ErrorDetail[];
  readonly retryAfterMs: number | undefined;
  readonly #name: string;

  /** `given`: one that no format can carry (contract 19: 32 bits) is none. */
  constructor(given: number, parts: RpcErrorParts = {}) {
    const code = given === (given | 0) ? given : INTERNAL;
    const known = errorCode(code);
    super((parts.message ?? known?.message ?? "Error").slice(0, MAX_MESSAGE), { cause: parts.cause });
    this.code = code;
    this.details = parts.details ?? [];
    this.retryAfterMs = parts.retryAfterMs;
    this.#name = known?.name ?? parts.name ?? "CUSTOM_ERROR";
  }

  override get name(): string {
    return this.#name;
  }
}

export const detail = (
  name: DetailName,
  reason: string,
  more: { readonly field?: string; readonly metadata?: Readonly<Record<string, unknown>> } = {},
): ErrorDetail => ({ type: `aduib.rpc/${name}`, ...more, reason });

/** An error with one detail of ours. */
export const rpcError = (
  code: number,
  name: DetailName,
  reason: string,
  more: {
    readonly field?: string;
    readonly metadata?: Readonly<Record<string, unknown>>;
    readonly retryAfterMs?: number;
  } = {},
): RpcError => {
  const { retryAfterMs, ...rest } = more;
  return new RpcError(code, {
    details: [detail(name, reason, rest)],
    ...(retryAfterMs !== undefined && { retryAfterMs }),
  });
};

/** What may be shown of it: without `debug`, which the gate of contract 5.5 adds. */
export function errorBody({ code, name, message, details }: RpcError): ErrorBody {
  return details.length === 0 ? { code, name, message } : { code, name, message, details };
}
