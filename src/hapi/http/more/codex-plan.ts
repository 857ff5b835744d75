// Carrying out a plan that codex proposed in a session that several clients share (HTTP contract, C5). Its CLI says whether the plan is
// still the one that stands.
import { Hono } from "hono";
import { z } from "zod";
import type { HapiContext } from "../../context.ts";
import { isShared } from "../../hub/live-sessions.ts";
import { flavourOf } from "../../wire/flavours.ts";
import { isObject } from "../../wire/shape.ts";
import type { ApiEnv } from "../kit/env.ts";
import { type Guards, keyOf } from "../kit/found.ts";
import { granted } from "../kit/granted.ts";
import { validBody } from "../kit/input.ts";
import { id } from "../kit/words.ts";

const planBody = z.object({ planId: id });
const WITHIN = { timeoutMs: 60_000 };
const NOT_SHARED = {
  ok: false,
  code: "unavailable",
  error: "An active shared Codex session is required",
};

export function codexPlanRoutes({ hub }: Pick<HapiContext, "hub">, { active }: Guards) {
  return new Hono<ApiEnv>().post("/api/sessions/:id/codex/plan/implement", active, async (c) => {
    const key = keyOf(c);
    const { row } = granted(await hub.sessions.find(key));
    if (flavourOf(row.metadata) !== "codex" || !isShared(row.metadata)) return c.json(NOT_SHARED, 409);
    const { planId } = await validBody(c, planBody);
    const called = await hub.calls.call(key, "implement-codex-plan", { planId }, WITHIN);
    if (!called.ok) return c.json({ ok: false, code: "unavailable", error: called.error }, 409);
    const { answer } = called;
    return Response.json(answer ?? null, { status: isObject(answer) && answer.ok === true ? 200 : 409 });
  });
}
