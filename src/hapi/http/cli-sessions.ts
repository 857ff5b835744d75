// Sessions as CLIs create, load and catch up with them, and what `hapi resume` needs (HTTP contract, A10 and C3).
import { Hono } from "hono";
import { z } from "zod";
import type { HapiContext } from "../context.ts";
import { machineBody } from "./cli-machines.ts";
import type { CliEnv } from "./kit/env.ts";
import { type Guards, keyOf } from "./kit/found.ts";
import { granted, sessionsOwn } from "./kit/granted.ts";
import { validBody, validQuery, wholeNumber } from "./kit/input.ts";
import { messageList } from "./kit/message-list.ts";
import { id, word } from "./kit/words.ts";

const MAX_PAGE = 200;

const sessionBody = z.object({
  tag: id,
  // May be null, and must be there.
  metadata: z.unknown(),
  agentState: z.unknown().optional(),
  id: z.uuid().optional(),
  model: word.optional(),
  modelReasoningEffort: word.optional(),
  effort: word.optional(),
  machine: machineBody.optional(),
});
const messagesQuery = z.object({
  afterSeq: wholeNumber(0),
  limit: wholeNumber(1).max(MAX_PAGE).default(MAX_PAGE),
});
const resumableQuery = z.object({ machineId: z.string().optional() });

const WITH_CODES = {
  "not-found": { status: 404, code: "session_not_found" },
  "access-denied": { status: 403, code: "access_denied" },
};
const HANDOFF = { ...WITH_CODES, cli: { status: 500, code: "handoff_failed" } };

export function cliSessionRoutes(context: HapiContext, { session }: Guards) {
  const { hub, store, hubSettings } = context;
  return new Hono<CliEnv>()
    .post("/cli/sessions", async (c) => {
      const wanted = await validBody(c, sessionBody);
      const opened = granted(await hub.sessions.open({ namespace: c.var.claims.ns, ...wanted }));
      return c.json({ session: opened.session, sessionSummaryContract: hubSettings.sessionSummaryContract });
    })
    .get("/cli/sessions/resumable", async (c) => {
      const { machineId } = validQuery(c, resumableQuery);
      return c.json({ sessions: await hub.handoff.resumable(c.var.claims.ns, machineId || undefined) });
    })
    .get("/cli/sessions/:id", async (c) => {
      const found = granted(await hub.sessions.view(keyOf(c)));
      return c.json({ session: found.session, sessionSummaryContract: hubSettings.sessionSummaryContract });
    })
    .get("/cli/sessions/:id/messages", session, async (c) => {
      const query = validQuery(c, messagesQuery);
      const found = sessionsOwn(await store.messagesAfter(c.var.key, query));
      return messageList(context, found, {}, () => c.set("isStream", true));
    })
    .get("/cli/sessions/:id/resume-target", async (c) => {
      const { target } = granted(await hub.handoff.target(keyOf(c)), WITH_CODES);
      return c.json({ target });
    })
    .post("/cli/sessions/:id/handoff-local", async (c) => {
      granted(await hub.handoff.toLocal(keyOf(c)), HANDOFF);
      return c.json({ ok: true });
    });
}
