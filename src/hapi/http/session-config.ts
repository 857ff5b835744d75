// Settings of a session that web clients change: permission mode, model, effort (HTTP contract, A9 and C3). Its CLI's refusal is a conflict.
import { Hono } from "hono";
import { z } from "zod";
import type { HapiContext } from "../context.ts";
import type { ApiEnv } from "./kit/env.ts";
import type { Guards } from "./kit/found.ts";
import { granted } from "./kit/granted.ts";
import { validBody } from "./kit/input.ts";
import { permissionMode, word } from "./kit/words.ts";

const name = word.trim().min(1);
const modeBody = z.object({ mode: permissionMode });
const modelBody = z.object({
  model: z.union([name, z.object({ provider: name, modelId: name })]).nullable(),
});
const effortBody = z.object({ effort: name.nullable() });

export const CLI_CONFLICT = { cli: { status: 409 } };

export function sessionConfigRoutes(
  { hub: { config } }: Pick<HapiContext, "hub">,
  { session, active }: Guards,
) {
  return new Hono<ApiEnv>()
    .post("/api/sessions/:id/permission-mode", session, async (c) => {
      const { mode } = await validBody(c, modeBody);
      granted(await config.setPermissionMode(c.var.key, mode), CLI_CONFLICT);
      return c.json({ ok: true });
    })
    .post("/api/sessions/:id/model", active, async (c) => {
      const { model } = await validBody(c, modelBody);
      granted(await config.setModel(c.var.key, model), CLI_CONFLICT);
      return c.json({ ok: true });
    })
    .post("/api/sessions/:id/effort", active, async (c) => {
      const { effort } = await validBody(c, effortBody);
      granted(await config.setEffort(c.var.key, effort), CLI_CONFLICT);
      return c.json({ ok: true });
    });
}
