// Hono middleware: the log and the figures of requests know the template of the route, never the path itself.
import type { MiddlewareHandler } from "hono";
import { matchedRoutes } from "hono/route";
import type { RequestFacts } from "../server/request-facts.ts";

/**
 * The last route that matched by its verb is the one that answers, whatever stands behind it for every verb. What only such a one matched
 * has no name, unless its handler gives it one.
 */
export const routeName: MiddlewareHandler<{ Bindings: RequestFacts }> = (c, next) => {
  const route = matchedRoutes(c).findLast(({ method }) => method !== "ALL");
  if (route !== undefined) c.env.route = route.path;
  return next();
};
