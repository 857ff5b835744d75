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
    endIfLeft(c.res, body);
  };
}

/** The same for a handler that stands in no app, and that throws nothing before it gives its promise. */
export function withBody(
  request: Request,
  facts: RequestFacts,
  parts: BodyParts,
  handle: (body: RequestBody) => Promise<Response>,
): Promise<Response> {
  const body = new RequestBody(request, facts, parts);
  return handle(body).then(
    (answer) => {
      body.release();
      endIfLeft(answer, body);
      return answer;
    },
    (error: unknown) => {
      body.release();
      throw error;
    },
  );
}

function endIfLeft(answer: Response, body: RequestBody): void {
  if (answer.status >= 400 && body.isLeft) answer.headers.set("connection", "close");
}
