// Branches of a conversation, and beginning anew (HTTP contract, C5).
import { Hono } from "hono";
import { z } from "zod";
import type { HapiContext } from "../../context.ts";
import type { ApiEnv } from "../kit/env.ts";
import { type Guards, keyOf } from "../kit/found.ts";
import { granted } from "../kit/granted.ts";
import { validJsonBody } from "../kit/input.ts";
import { id } from "../kit/words.ts";

const forkBody = z.object({ messageLocalId: id.optional() });
/** What its CLI or a runner said is no fault of the hub's. */
const REFUSED = { cli: { status: 409 } };

export function branchRoutes({ hub: { forking, clearing } }: Pick<HapiContext, "hub">, { active }: Guards) {
  return new Hono<ApiEnv>()
    .post("/api/sessions/:id/fork", active, async (c) => {
      const { messageLocalId } = await validJsonBody(c, forkBody);
      const { sessionId } = granted(await forking.fork(c.var.key, messageLocalId), REFUSED);
      return c.json({ sessionId });
    })
    .post("/api/sessions/:id/clear", async (c) => {
      const { sessionId } = granted(await clearing.clear(keyOf(c)));
      return c.json({ sessionId });
    });
}
