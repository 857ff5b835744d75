// Sessions as web clients list, name, pin and delete them (HTTP contract, A9 and C3).
import { Hono } from "hono";
import { z } from "zod";
import { acceptsGzip } from "../../http/accept-encoding.ts";
import type { HapiContext } from "../context.ts";
import type { ApiEnv } from "./kit/env.ts";
import { type Guards, keyOf } from "./kit/found.ts";
import { granted } from "./kit/granted.ts";
import { gzipped } from "./kit/gzip.ts";
import { validBody, validQuery } from "./kit/input.ts";

const MAX_LISTED = 500;

const listQuery = z.object({
  /** What is no number is ignored, and what is out of range is the nearest that is in it. */
  limit: z
    .string()
    .optional()
    .transform((text) => (text === undefined ? Number.NaN : Number(text)))
    .transform((limit) =>
      Number.isNaN(limit) ? undefined : Math.trunc(Math.min(Math.max(limit, 1), MAX_LISTED)),
    ),
  order: z.string().optional(),
});
const nameBody = z.object({ name: z.string().min(1).max(255) });
const pinBody = z.object({ mode: z.enum(["none", "project", "global"]) });

const INVALID_NAME = { error: "Invalid body: name is required" };
const INVALID_PIN = { error: "Invalid body: mode must be none, project, or global" };

const JSON_TYPE = { "content-type": "application/json" };
/** Lists as they go out in gzip, for as long as they are the same. */
const packed = new WeakMap<Uint8Array, Promise<Uint8Array<ArrayBuffer>>>();

export function sessionRoutes({ hub: { sessions } }: Pick<HapiContext, "hub">, { session }: Guards) {
  return new Hono<ApiEnv>()
    .get("/api/sessions", async (c) => {
      const { limit, order } = validQuery(c, listQuery);
      const options = { limit, isByUpdate: order === "updatedAt" };
      const bytes = await sessions.listJson(c.var.claims.ns, options);
      if (c.req.method === "HEAD" || !acceptsGzip(c.req.header("accept-encoding") ?? null))
        return new Response(bytes, { headers: JSON_TYPE });
      const gzip = packed.get(bytes) ?? gzipped(bytes);
      packed.set(bytes, gzip);
      return new Response(await gzip, { headers: { ...JSON_TYPE, "content-encoding": "gzip" } });
    })
    .get("/api/sessions/:id", async (c) => {
      const { session } = granted(await sessions.view(keyOf(c)));
      return c.json({ session });
    })
    .patch("/api/sessions/:id", session, async (c) => {
      const { name } = await validBody(c, nameBody, INVALID_NAME);
      granted(await sessions.rename(c.var.key, name));
      return c.json({ ok: true });
    })
    .delete("/api/sessions/:id", async (c) => {
      granted(await sessions.delete(keyOf(c)));
      return c.json({ ok: true });
    })
    .put("/api/sessions/:id/pin", session, async (c) => {
      const { mode } = await validBody(c, pinBody, INVALID_PIN);
      granted(await sessions.pin(c.var.key, mode));
      return c.json({ ok: true });
    });
}
