// Which web pages may read answers: those of the configured origins, never with cookies (topics contract, section 6).
import type { MiddlewareHandler } from "hono";
import { cors } from "hono/cors";

/** @param origins `*` among them means every origin. */
export function allowedOrigins(origins: readonly string[]): MiddlewareHandler {
  const isEvery = origins.includes("*");
  const answer = cors({
    origin: isEvery ? "*" : [...origins],
    // Each list as the one text that goes over the wire.
    allowMethods: ["GET, POST"],
    allowHeaders: ["authorization, content-type"],
    maxAge: 600,
  });
  return async (c, next) => {
    const preflight = await answer(c, next);
    if (!(preflight instanceof Response)) return;
    c.res = preflight;
    // Hono says that it depends on the headers that were asked for. It does not: the list is always the same.
    c.res.headers.delete("vary");
    if (!isEvery) c.res.headers.set("vary", "Origin");
  };
}
