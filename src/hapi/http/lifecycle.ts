// How web clients stop, archive and take up sessions again (HTTP contract, A9 and C3).
import { Hono } from "hono";
import { z } from "zod";
import type { HapiContext } from "../context.ts";
import type { ApiEnv } from "./kit/env.ts";
import { type Guards, keyOf } from "./kit/found.ts";
import { granted } from "./kit/granted.ts";
import { validOptionalBody } from "./kit/input.ts";
import { permissionMode } from "./kit/words.ts";

const resumeBody = z.object({ permissionMode: permissionMode.optional() });

/** Here clients know it by its text alone. */
const INACTIVE_BY_TEXT = { inactive: { status: 409 } };
/** The session was there when the guard looked. */
const GONE = {
  "not-found": { status: 404, code: "session_not_found" },
  "access-denied": { status: 403, code: "access_denied" },
};
const REOPEN = { ...GONE, conflict: { status: 409, code: "metadata_conflict" } };

export function lifecycleRoutes({ hub }: Pick<HapiContext, "hub">, { session, active }: Guards) {
  return new Hono<ApiEnv>()
    .post("/api/sessions/:id/resume", session, async (c) => {
      const { permissionMode } = await validOptionalBody(c, resumeBody);
      const { sessionId } = granted(await hub.resuming.resume(c.var.key, permissionMode), GONE);
      return c.json({ type: "success", sessionId });
    })
    .post("/api/sessions/:id/reopen", session, async (c) => {
      const reopened = granted(await hub.resuming.reopen(c.var.key), REOPEN);
      const { sessionId, resumed, cursorSessionProtocol } = reopened;
      return c.json({ ok: true, sessionId, resumed, cursorSessionProtocol });
    })
    .post("/api/sessions/:id/abort", active, async (c) => {
      granted(await hub.calls.abort(c.var.key));
      return c.json({ ok: true });
    })
    .post("/api/sessions/:id/archive", async (c) => {
      const { isArchivedAlready } = granted(await hub.lifecycle.archive(keyOf(c)), INACTIVE_BY_TEXT);
      return c.json({ ok: true, alreadyArchived: isArchivedAlready || undefined });
    })
    .post("/api/sessions/:id/switch", active, async (c) => {
      granted(await hub.calls.switchToRemote(c.var.key));
      return c.json({ ok: true });
    });
}
