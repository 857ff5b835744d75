// Asks a client to come again: the header that says when, and Hono middleware that lets a request wait for its turn in a limit.
import type { MiddlewareHandler } from "hono";
import type { RequestFacts } from "../server/request-facts.ts";

/** With `Retry-After`, in whole seconds (RFC 9110, 10.2.3). */
export function later(answer: Response, waitMs: number): Response {
  answer.headers.set("retry-after", String(secondsOf(waitMs)));
  return answer;
}

/** At least one: a client that is told 0 comes again at once. */
export const secondsOf = (waitMs: number): number => Math.max(1, Math.ceil(waitMs / 1_000));

export interface RateLimitParts {
  /** Counts the request. @returns milliseconds to wait; undefined when it may go on. */
  readonly exceeded: (facts: RequestFacts) => number | undefined;
  /** The protocol's answer, without the header. */
  readonly refused: (waitMs: number) => Response;
}

/** Nothing behind it runs for a request that came too soon. */
export function rateLimit({
  exceeded,
  refused,
}: RateLimitParts): MiddlewareHandler<{ Bindings: RequestFacts }> {
  return async (c, next) => {
    const waitMs = exceeded(c.env);
    if (waitMs !== undefined) return later(refused(waitMs), waitMs);
    await next();
  };
}
