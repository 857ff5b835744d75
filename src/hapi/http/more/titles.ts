// Titles of a session: one that a person wrote, and one that the hub would ask a model for (HTTP contract, C5). No model is configured
// here, and /health says so.
import { Hono } from "hono";
import { z } from "zod";
import type { HapiContext } from "../../context.ts";
import type { ApiEnv } from "../kit/env.ts";
import { Refused } from "../kit/failure.ts";
import type { Guards } from "../kit/found.ts";
import { granted } from "../kit/granted.ts";
import { validBody } from "../kit/input.ts";

const MAX_TITLE = 255;
const titleBody = z.object({ text: z.string().trim().min(1).max(MAX_TITLE) });

export function titleRoutes({ hub: { sessions } }: Pick<HapiContext, "hub">, { session }: Guards) {
  return new Hono<ApiEnv>()
    .patch("/api/sessions/:id/summary", session, async (c) => {
      const { text } = await validBody(c, titleBody, { error: "Invalid body: text is required" });
      granted(await sessions.summarize(c.var.key, text));
      return c.json({ ok: true });
    })
    .post("/api/sessions/:id/title-suggestion", session, () => {
      throw new Refused(503, "Title suggestions are not configured on this Hub");
    });
}
