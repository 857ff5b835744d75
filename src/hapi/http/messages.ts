// Messages as web clients read, send and take them back (HTTP contract, A9 and C3).
import { Hono } from "hono";
import { z } from "zod";
import type { HapiContext } from "../context.ts";
import type { PageQuery } from "../store/rows.ts";
import { messageView } from "../wire/message.ts";
import type { ApiEnv } from "./kit/env.ts";
import { ComeLater } from "./kit/failure.ts";
import { type Guards, keyOf } from "./kit/found.ts";
import { granted, sessionsOwn } from "./kit/granted.ts";
import { validBody, validQuery, wholeNumber } from "./kit/input.ts";
import { messageList } from "./kit/message-list.ts";
import { id } from "./kit/words.ts";

const at = wholeNumber(0).optional();
const seq = wholeNumber(1).optional();
const pageQuery = z
  .object({
    limit: wholeNumber(1).max(200).default(50),
    beforeAt: at,
    beforeSeq: seq,
    afterAt: at,
    afterSeq: seq,
    untilAt: at,
    untilSeq: seq,
    epoch: at,
  })
  .transform((query, context): PageQuery => {
    const fault = (field: string, message: string) =>
      context.addIssue({ code: "custom", path: [field], message });
    const position = (name: "before" | "after" | "until") => {
      const [at, seq] = [query[`${name}At`], query[`${name}Seq`]];
      if ((at === undefined) !== (seq === undefined))
        fault(`${name}At`, `${name}At and ${name}Seq come together`);
      return at === undefined || seq === undefined ? undefined : { at, seq };
    };
    const { limit, epoch } = query;
    const [before, after, until] = [position("before"), position("after"), position("until")];
    if (before !== undefined && after !== undefined)
      fault("afterAt", "A page goes before or after, not both");
    if (until !== undefined && after === undefined)
      fault("untilAt", "It is the end of a page that goes after");
    if (epoch !== undefined && after === undefined) fault("epoch", "It is for a page that goes after");
    if (after !== undefined) return { direction: "after", limit, after, until, epoch };
    return before === undefined ? { direction: "latest", limit } : { direction: "before", limit, before };
  });

const attachment = z.object({
  id: z.string(),
  filename: z.string(),
  mimeType: z.string(),
  size: z.number(),
  path: z.string(),
  previewUrl: z.string().optional(),
});
const postBody = z.object({
  text: z.string(),
  localId: id.optional(),
  attachments: z.array(attachment).optional(),
  scheduledAt: z.int().positive().nullish(),
  deliveryMode: z.enum(["queue", "steer"]).optional(),
});
const stateBody = z.object({ localIds: z.array(id).max(1_000) });

const WITH_ISSUES = { hasIssues: true };

export function messageRoutes(context: HapiContext, { session, active }: Guards) {
  const { hub, store, pace } = context;
  return new Hono<ApiEnv>()
    .get("/api/sessions/:id/messages", session, async (c) => {
      const query = validQuery(c, pageQuery, WITH_ISSUES);
      const { messages, page } = sessionsOwn(await store.pageMessages(c.var.key, query));
      return messageList(context, messages, { page }, () => c.set("isStream", true));
    })
    .post("/api/sessions/:id/messages", active, async (c) => {
      const message = await validBody(c, postBody, WITH_ISSUES);
      const waitMs = pace.exceeded(c.var.key.namespace, 1);
      if (waitMs !== undefined) throw new ComeLater(waitMs);
      granted(await hub.messages.post({ session: c.var.key, ...message }));
      return c.json({ ok: true });
    })
    .post("/api/sessions/:id/messages/queued-state", session, async (c) => {
      const { localIds } = await validBody(c, stateBody, WITH_ISSUES);
      const state = granted(await hub.queue.state(c.var.key, localIds));
      const { queuedLocalIds, indeterminateLocalIds, invokedLocalMessages } = state;
      return c.json({ queuedLocalIds, indeterminateLocalIds, invokedLocalMessages });
    })
    .delete("/api/sessions/:id/messages/:messageId", async (c) => {
      const key = keyOf(c);
      const cancelled = granted(await hub.queue.cancel(key, c.req.param("messageId")));
      if (cancelled.status !== "invoked")
        return Response.json({ status: cancelled.status, localId: cancelled.localId });
      const message = { ...messageView(cancelled.message), sessionId: key.id };
      return Response.json({ status: "invoked", message });
    });
}
