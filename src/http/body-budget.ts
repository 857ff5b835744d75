// Hono middleware: every request that passes here has its share of the body budget, which is given back when it is answered. The body
// is read by the handler (`c.var.body`), of a stranger until the bearer middleware or the handler says whose it is.
import type { MiddlewareHandler } from "hono";
import type { RequestFacts } from "../server/request-facts.ts";
import { type BodyParts, RequestBody } from "./request-body.ts";

export interface BodyEnv {
  Bindings: RequestFacts;
  Variables: { body: RequestBody };
}

/**
 * Comes before whatever reads a body. A refusal that left the body unread ends the connection: what is left of it must not be taken for
 * the next request.
 * @example
 * app.post("/things", bodyBudget(parts), bearer(tokens), async (c) => c.json(await c.var.body.json()));
 */
export function bodyBudget(parts: BodyParts): MiddlewareHandler<BodyEnv> {
  return async (c, next) => {
    const body = new RequestBody(c.req.raw, c.env, parts);
    c.set("body", body);
    try {
      await next();
    } finally {
      body.release();
    }
    if (body.isLeft && c.res.status >= 400) c.res.headers.set("connection", "close");
  };
}
