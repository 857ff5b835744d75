// A person's answer to what an agent asked (HTTP contract, A9). Of an approval the body is looked at first, of a denial the request.
import { Hono } from "hono";
import { z } from "zod";
import type { HapiContext } from "../context.ts";
import type { ApiEnv } from "./kit/env.ts";
import type { Guards } from "./kit/found.ts";
import { granted } from "./kit/granted.ts";
import { validOptionalBody } from "./kit/input.ts";
import { permissionMode } from "./kit/words.ts";

const decision = z.enum(["approved", "approved_for_session", "denied", "abort"]);
const texts = z.array(z.string());
const approveBody = z.object({
  mode: permissionMode.optional(),
  allowTools: texts.optional(),
  decision: decision.optional(),
  answers: z
    .union([z.record(z.string(), texts), z.record(z.string(), z.object({ answers: texts }))])
    .optional(),
});
const denyBody = z.object({ decision: decision.optional() });

export function permissionRoutes({ hub: { permissions } }: Pick<HapiContext, "hub">, { active }: Guards) {
  return new Hono<ApiEnv>()
    .post("/api/sessions/:id/permissions/:requestId/approve", active, async (c) => {
      const approval = await validOptionalBody(c, approveBody);
      granted(await permissions.approve(c.var.key, c.req.param("requestId"), approval));
      return c.json({ ok: true });
    })
    .post("/api/sessions/:id/permissions/:requestId/deny", active, async (c) => {
      const request = c.req.param("requestId");
      granted(await permissions.find(c.var.key, request));
      const { decision } = await validOptionalBody(c, denyBody);
      granted(await permissions.deny(c.var.key, request, decision));
      return c.json({ ok: true });
    });
}
