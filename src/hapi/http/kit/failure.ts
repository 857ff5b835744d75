// What an error becomes: the contract's shapes (HTTP contract, E1). What nobody expected is in the log only, and its answer is the text
// that clients know.
import type { Logger } from "pino";
import { BodyRefused } from "../../../http/request-body.ts";
import { later } from "../../../http/retry-after.ts";
import type { Bounds } from "../../../limits/bounds.ts";
import { ValueTooLarge } from "../../../limits/value-sizes.ts";
import { asStorageError, StorageError } from "../../../storage/errors.ts";

/** An answer that stands for itself, thrown from where no answer can be returned. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    /** The literal that clients read. */
    readonly error: string,
    /** What the answer says besides. */
    readonly more: {
      readonly code?: string | undefined;
      readonly issues?: object | undefined;
      readonly missing?: readonly string[] | undefined;
    } = {},
  ) {
    super(error);
  }

  answer(): Response {
    return Response.json({ error: this.error, ...this.more }, { status: this.status });
  }
}

/** Too many wrong tokens, or too much work without one. */
export class ComeLater extends Error {
  constructor(readonly waitMs: number) {
    super("Too many requests");
  }
}

const TEXT = { "content-type": "text/plain; charset=UTF-8" };
const BUSY_MS = 2_000;

export interface FailureParts {
  readonly bounds: Pick<Bounds, "refused">;
  readonly log: Logger;
}

/** @param where for the log: the route's template and the request's id */
export function failure(
  thrown: unknown,
  { bounds, log }: FailureParts,
  where: { readonly route: string | undefined; readonly request: string },
): Response {
  if (thrown instanceof Refused) return thrown.answer();
  if (thrown instanceof ComeLater) return refusal(429, "Too many requests", thrown.waitMs);
  if (thrown instanceof BodyRefused) return bodyFailure(thrown);
  if (thrown instanceof ValueTooLarge) {
    const { field, bytes, limitBytes } = thrown;
    bounds.refused("value-size", { value: field, bytes, limitBytes });
    return refusal(413, thrown.message);
  }
  const error = asStorageError(thrown);
  if (error instanceof StorageError && error.code === "quota") return refusal(507, error.message);
  if (error instanceof StorageError) {
    log.error({ ...where, code: error.code }, error.message);
    return refusal(503, error.message);
  }
  log.error({ ...where, err: error }, "a request ended in an unexpected error");
  return new Response("Internal Server Error", { status: 500, headers: TEXT });
}

/** Of a path that there is not. */
export const notFound = (): Response => new Response("404 Not Found", { status: 404, headers: TEXT });

function bodyFailure({ code, facts }: BodyRefused): Response {
  // The original's server says no more about a body that is too large.
  if (code === "too-large") return new Response(null, { status: 413 });
  if (code === "busy") return refusal(503, "The server is busy with other requests", BUSY_MS);
  if (code === "too-much-work") return refusal(429, "Too many requests", facts.waitMs ?? BUSY_MS);
  if (code === "late") return refusal(408, "The body did not arrive in time");
  return refusal(400, "Invalid body");
}

function refusal(status: number, error: string, waitMs?: number): Response {
  const answer = Response.json({ error }, { status });
  return waitMs === undefined ? answer : later(answer, waitMs);
}
