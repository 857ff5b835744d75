// The one table of errors (contract 5.1), used by the server and by the client: code, name, default message, HTTP status, what a caller
// may do, what the server's own retry may do, and the level of the log line.

export type LogLevel = "info" | "warn" | "error";

/** Advice for callers: `idempotent` may be tried again when the call does no harm twice. */
export type RetryAdvice = "no" | "yes" | "idempotent";

/** Of the server's own retry: `never` cannot be asked for, `no` can where the contract says so. */
export type AutoRetry = "yes" | "no" | "never";

export interface ErrorCode {
  readonly code: number;
  readonly name: string;
  readonly message: string;
  readonly http: number;
  readonly retry: RetryAdvice;
  readonly auto: AutoRetry;
  readonly log: LogLevel;
}

const row = (
  code: number,
  name: string,
  message: string,
  http: number,
  log: LogLevel,
  retry: RetryAdvice = "no",
  auto: AutoRetry = "no",
): ErrorCode => ({ code, name, message, http, retry, auto, log });

export const ERROR_CODES: readonly ErrorCode[] = [
  row(1000, "PROTOCOL_ERROR", "Protocol error", 400, "warn"),
  row(1001, "UNSUPPORTED_VERSION", "Unsupported protocol version", 400, "warn"),
  row(1002, "INVALID_MESSAGE", "Invalid message", 400, "warn"),
  row(1003, "SERIALIZATION_ERROR", "Serialization error", 400, "warn"),
  row(1004, "COMPRESSION_ERROR", "Compression error", 400, "warn"),
  row(2000, "BAD_REQUEST", "Bad request", 400, "info"),
  row(2001, "INVALID_PARAMS", "Invalid params", 400, "info"),
  row(2002, "MISSING_REQUIRED_FIELD", "Missing required field", 400, "info"),
  row(2003, "INVALID_FIELD_VALUE", "Invalid field value", 400, "info"),
  row(2004, "REQUEST_TOO_LARGE", "Request too large", 400, "info"),
  row(3000, "UNAUTHENTICATED", "Unauthenticated", 401, "warn"),
  row(3001, "INVALID_TOKEN", "Invalid token", 401, "warn"),
  row(3002, "TOKEN_EXPIRED", "Token expired", 401, "info"),
  row(3010, "UNAUTHORIZED", "Unauthorized", 403, "warn"),
  row(3011, "PERMISSION_DENIED", "Permission denied", 403, "warn"),
  row(3012, "INSUFFICIENT_SCOPE", "Insufficient scope", 403, "warn"),
  row(4000, "NOT_FOUND", "Resource not found", 404, "info"),
  row(4001, "METHOD_NOT_FOUND", "Method not found", 404, "info"),
  row(4002, "SERVICE_NOT_FOUND", "Service not found", 404, "warn"),
  row(4010, "ALREADY_EXISTS", "Already exists", 409, "info"),
  row(4011, "CONFLICT", "Conflict", 409, "info"),
  row(4020, "GONE", "Gone", 410, "info"),
  row(5000, "INTERNAL_ERROR", "Internal error", 500, "error"),
  row(5001, "NOT_IMPLEMENTED", "Not implemented", 501, "warn"),
  row(5002, "SERVICE_UNAVAILABLE", "Service unavailable", 503, "error", "yes", "yes"),
  row(5003, "TIMEOUT", "RPC timeout", 504, "warn", "idempotent", "no"),
  row(5010, "CIRCUIT_BREAKER_OPEN", "Circuit breaker open", 503, "warn", "yes", "never"),
  row(5020, "RATE_LIMITED", "Rate limited", 429, "warn", "yes", "never"),
  row(5021, "RESOURCE_EXHAUSTED", "Resource exhausted", 429, "warn", "yes", "never"),
  row(6000, "DEPENDENCY_ERROR", "Dependency error", 502, "error", "yes", "yes"),
  row(6001, "UPSTREAM_TIMEOUT", "Upstream timeout", 504, "error", "yes", "yes"),
  row(6002, "UPSTREAM_UNAVAILABLE", "Upstream unavailable", 502, "error", "yes", "yes"),
];

const byCode = new Map(ERROR_CODES.map((entry) => [entry.code, entry]));

/** Undefined for a code that is a handler's own. */
export const errorCode = (code: number): ErrorCode | undefined => byCode.get(code);

/** The HTTP status is a function of the code alone (contract 5.2), also of codes outside the table. */
export function httpStatusOf(code: number): number {
  const known = byCode.get(code);
  if (known !== undefined) return known.http;
  if (code >= 1000 && code < 3000) return 400;
  if (code >= 3000 && code < 3010) return 401;
  if (code >= 3010 && code < 4000) return 403;
  if (code >= 4000 && code < 4010) return 404;
  if (code >= 4010 && code < 4020) return 409;
  if (code >= 4020 && code < 4030) return 410;
  if (code >= 4000 && code < 5000) return 400;
  if (code >= 6000 && code < 7000) return 502;
  return 500;
}

export const logLevelOf = (code: number): LogLevel =>
  byCode.get(code)?.log ?? (httpStatusOf(code) >= 500 ? "error" : "info");
