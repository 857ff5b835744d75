// JSON answers say `application/json` and no charset, as the original's do (HTTP contract, 1), however a handler has made them.
import type { MiddlewareHandler } from "hono";

export const jsonType: MiddlewareHandler = async (c, next) => {
  await next();
  const type = c.res.headers.get("content-type");
  if (type?.startsWith("application/json;")) c.res.headers.set("content-type", "application/json");
};
