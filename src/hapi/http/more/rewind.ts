// Going back in a conversation (HTTP contract, C5).
import { Hono } from "hono";
import { z } from "zod";
import type { HapiContext } from "../../context.ts";
import type { ApiEnv } from "../kit/env.ts";
import type { Guards } from "../kit/found.ts";
import { granted } from "../kit/granted.ts";
import { validBody } from "../kit/input.ts";
import { id } from "../kit/words.ts";

const rewindBody = z.object({ messageLocalId: id });

export function rewindRoutes({ hub: { rewinding } }: Pick<HapiContext, "hub">, { active }: Guards) {
  return new Hono<ApiEnv>().post("/api/sessions/:id/rewind", active, async (c) => {
    const { messageLocalId } = await validBody(c, rewindBody);
    const done = await rewinding.rewind(c.var.key, messageLocalId);
    if (!done.ok && (done.code === "cli" || done.code === "conflict"))
      // Nothing of the history went: what a client shows is right.
      return c.json({ error: done.error, hydrateFailed: false }, 409);
    granted(done);
    return c.json({ success: true });
  });
}
