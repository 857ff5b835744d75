// Hono middleware: the log and the figures of requests know the template of the route, never the path itself.
import type { MiddlewareHandler } from "hono";
import { matchedRoutes } from "hono/route";
import type { RequestFacts } from "../server/request-facts.ts";

/** The last route that matched is the one that answers; what only middleware matched has no name. */
export const routeName: MiddlewareHandler<{ Bindings: RequestFacts }> = (c, next) => {
  const route = matchedRoutes(c).at(-1);
  if (route !== undefined && route.method !== "ALL") c.env.route = route.path;
  return next();
};
