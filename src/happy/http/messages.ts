// Messages over HTTP: appended exactly once for each localId, read in pages (HTTP contract 6.5, 6.8, 6.9).
import { z } from "zod";
import { identifier } from "../../limits/identifier.ts";
import { interestedInSession } from "../audience.ts";
import { appendMessages, pageMessages } from "../store/messages.ts";
import { messageBody, newMessage } from "../updates.ts";
import { type Endpoint, endpoint, json, later, refusal } from "./kit/endpoint.ts";
import { limitOf } from "./sessions.ts";

const params = z.object({ sessionId: z.string() });
const LEGACY_LIMIT = 150;
const TOO_FAST = "Too many messages at once. Try again in a moment.";

const newestFirst = endpoint(
  { method: "GET", path: "/v1/sessions/:sessionId/messages", auth: "bearer", params },
  ({ room, account, params: { sessionId } }) => {
    // Creation order is seq order: both are given in the same operation.
    const cursor = { beforeSeq: Number.MAX_SAFE_INTEGER };
    const page = pageMessages(room.database, account, sessionId, cursor, LEGACY_LIMIT);
    return page === undefined
      ? refusal(404, "Session not found")
      : json({ messages: page.rows.map(messageBody) });
  },
);

const read = endpoint(
  {
    method: "GET",
    path: "/v3/sessions/:sessionId/messages",
    auth: "bearer",
    params,
    query: z
      .object({
        after_seq: z.coerce.number().int().min(0).optional(),
        before_seq: z.coerce.number().int().min(1).optional(),
        limit: limitOf(500, 100),
      })
      .refine(({ after_seq, before_seq }) => after_seq === undefined || before_seq === undefined, {
        message: "after_seq and before_seq are mutually exclusive",
      }),
  },
  ({ room, account, params: { sessionId }, query: { after_seq, before_seq, limit } }) => {
    const cursor = before_seq === undefined ? { afterSeq: after_seq ?? 0 } : { beforeSeq: before_seq };
    const page = pageMessages(room.database, account, sessionId, cursor, limit);
    if (page === undefined) return refusal(404, "Session not found");
    return json({ messages: page.rows.map(messageBody), hasMore: page.hasMore });
  },
);

const append = endpoint(
  {
    method: "POST",
    path: "/v3/sessions/:sessionId/messages",
    auth: "bearer",
    params,
    body: z.object({
      messages: z
        .array(z.object({ content: z.string(), localId: identifier.min(1) }))
        .min(1)
        .max(100),
    }),
  },
  async ({ room, account, params: { sessionId }, body }) => {
    const waitMs = room.messagePace.exceeded(account, body.messages.length);
    if (waitMs !== undefined) return later(refusal(429, TOO_FAST), waitMs);
    const appended = await appendMessages(room.database, account, sessionId, body.messages, ({ created }) => {
      // Empty messages are announced as well (realtime contract 16, safe fix 5): no reader has to find them by chance.
      for (const { row, updateSeq } of created) {
        room.publisher.update(interestedInSession(account, sessionId), updateSeq, newMessage(sessionId, row));
      }
    });
    if (appended === undefined) return refusal(404, "Session not found");
    const messages = appended.all.map(({ id, seq, localId, createdAt, updatedAt }) => ({
      id,
      seq,
      localId,
      createdAt,
      updatedAt,
    }));
    return json({ messages });
  },
);

export const messageEndpoints: readonly Endpoint[] = [newestFirst, read, append];
