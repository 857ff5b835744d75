// The steps of OpenCode's /clear, as its CLI asks for them (HTTP contract, C5).
import { Hono } from "hono";
import { z } from "zod";
import type { HapiContext } from "../../context.ts";
import type { CliEnv } from "../kit/env.ts";
import { keyOf } from "../kit/found.ts";
import { granted } from "../kit/granted.ts";
import { validBody } from "../kit/input.ts";
import { id } from "../kit/words.ts";

const callback = z.object({ replacementSessionId: id });
const WORDING = { error: "Invalid clear callback request" };
const WITH_CODES = {
  "not-found": { status: 404, code: "session_not_found" },
  "access-denied": { status: 403, code: "access_denied" },
};

export function opencodeClearRoutes({ hub: { opencodeClearing } }: Pick<HapiContext, "hub">) {
  const done = ({ sessionId }: { readonly sessionId: string }) => Response.json({ ok: true, sessionId });
  return new Hono<CliEnv>()
    .post("/cli/sessions/:id/clear-opencode", async (c) =>
      done(granted(await opencodeClearing.finish(keyOf(c)), WITH_CODES)),
    )
    .post("/cli/sessions/:id/clear-opencode/reserve", async (c) =>
      done(granted(await opencodeClearing.reserve(keyOf(c)), WITH_CODES)),
    )
    .post("/cli/sessions/:id/clear-opencode/abort", async (c) => {
      const { replacementSessionId } = await validBody(c, callback, WORDING);
      return done(granted(await opencodeClearing.abort(keyOf(c), replacementSessionId), WITH_CODES));
    })
    .post("/cli/sessions/:id/clear-opencode/confirm-cleanup", async (c) => {
      const { replacementSessionId } = await validBody(c, callback, WORDING);
      return done(granted(await opencodeClearing.confirm(keyOf(c), replacementSessionId), WITH_CODES));
    });
}
