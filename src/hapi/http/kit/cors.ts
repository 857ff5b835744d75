// Which web pages may read the hub's answers (HTTP contract, A3 and H7). A page that may not is not refused: its browser keeps the answer
// from it. Credentials are never allowed; nothing is authenticated by a cookie.
import type { MiddlewareHandler } from "hono";
import { cors } from "hono/cors";
import type { RequestFacts } from "../../../server/request-facts.ts";

export interface AllowedPages {
  /** Whether every page is. */
  readonly every: boolean;
  readonly allows: (origin: string, request: Request, facts: RequestFacts) => boolean;
}

/** Answers every preflight, of paths that there are not too. */
export function corsOf({ every, allows }: AllowedPages): MiddlewareHandler<{ Bindings: RequestFacts }> {
  return cors({
    origin: every ? "*" : (origin, c) => (origin !== "" && allows(origin, c.req.raw, c.env) ? origin : null),
    // Each list as the one text that goes over the wire.
    allowMethods: ["GET,POST,PUT,PATCH,DELETE,OPTIONS"],
    allowHeaders: ["authorization,content-type,last-event-id"],
  });
}
