// Everything this protocol refuses, as a code (topics contract, section 2). The door turns it into an envelope, a socket into an
// acknowledgement; the text goes to the client, so it never carries internal error text.
import type { Logger } from "pino";
import { StorageError } from "../storage/errors.ts";

/** Business code -> HTTP status. */
export const statusOf = {
  1001: 401,
  1002: 401,
  1003: 401,
  1004: 403,
  2001: 400,
  2002: 400,
  2003: 400,
  3001: 404,
  3002: 409,
  3003: 409,
  5001: 500,
  5002: 500,
  5003: 502,
} as const;

export type Code = keyof typeof statusOf;

export class Problem extends Error {
  constructor(
    readonly code: Code,
    message: string,
    /** HTTP status where it is not the code's own. */
    readonly status: number = statusOf[code],
  ) {
    super(message);
  }
}

export const missingParameter = (message: string) => new Problem(2001, message);
export const badFormat = (message: string) => new Problem(2002, message);
export const badValue = (message: string) => new Problem(2003, message);
export const notFound = (what: string) => new Problem(3001, `${what} not found`);

/** What the client is told about any error; what it is not told is logged here, once. */
export function problemOf(
  error: unknown,
  log: Logger,
  where: Readonly<Record<string, string | undefined>>,
): Problem {
  if (error instanceof Problem) return error;
  if (isDatabaseError(error)) {
    log.error({ err: error, ...where }, "the topics database refused an operation");
    return new Problem(5002, "database error");
  }
  log.error({ err: error, ...where }, "a topics operation ended in an unexpected error");
  return new Problem(5001, "internal error");
}

/** SQLite's own errors arrive as they are, wrapped by the query builder, or named by the writer. */
function isDatabaseError(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return error instanceof StorageError || error.name === "SQLiteError" || isDatabaseError(error.cause);
}
