// Messages over HTTP: appended exactly once for each localId, read in pages (HTTP contract 6.5, 6.8, 6.9).
import { z } from "zod";
import { RawText, textBytes } from "../../http/large-json.ts";
import { later } from "../../http/retry-after.ts";
import { identifier } from "../../limits/identifier.ts";
import { PAGE_BYTES } from "../../storage/weighed-list.ts";
import { interestedInSession } from "../audience.ts";
import type { MessageReceipt, NewMessage } from "../store/messages.ts";
import { warnOfTooLarge } from "../too-large-messages.ts";
import { messageBody, newMessage } from "../wire/updates.ts";
import { type Endpoint, endpoint, json, refusal } from "./kit/endpoint.ts";
import { jsonList } from "./kit/large.ts";
import { limitOf } from "./sessions.ts";

const params = z.object({ sessionId: z.string() });
const LEGACY_LIMIT = 150;
const TOO_FAST = "Too many messages at once. Try again in a moment.";

const newestFirst = endpoint(
  { method: "GET", path: "/v1/sessions/:sessionId/messages", auth: "bearer", params },
  async ({ context, account, params: { sessionId } }) => {
    // Creation order is seq order: both are given in the same operation.
    const cursor = { beforeSeq: Number.MAX_SAFE_INTEGER };
    const page = await context.store.pageMessages(account, sessionId, cursor, { limit: LEGACY_LIMIT });
    return page === undefined
      ? refusal(404, "Session not found")
      : jsonList(context, "messages", page, messageBody);
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
  async ({ context, account, params: { sessionId }, query: { after_seq, before_seq, limit } }) => {
    const cursor = before_seq === undefined ? { afterSeq: after_seq ?? 0 } : { beforeSeq: before_seq };
    const wanted = { limit, budgetBytes: PAGE_BYTES };
    const page = await context.store.pageMessages(account, sessionId, cursor, wanted);
    if (page === undefined) return refusal(404, "Session not found");
    return jsonList(context, "messages", page, messageBody, { hasMore: page.hasMore });
  },
);

/** Stored in one operation: a larger batch is stored in several, so that others get their turn in between. */
const PORTION_BYTES = 4 * 1024 * 1024;

/** A larger content is not pushed to every socket: they are asked to come again, and fetch it one at a time. */
const LARGEST_ANNOUNCED_BYTES = 16 * 1024 * 1024;

const append = endpoint(
  {
    method: "POST",
    path: "/v3/sessions/:sessionId/messages",
    auth: "bearer",
    params,
    rawTexts: ["content"],
    body: z.object({
      messages: z
        .array(
          z.object({
            content: z.union([z.instanceof(RawText), z.string()]),
            localId: identifier.min(1),
          }),
        )
        .min(1)
        .max(100),
    }),
  },
  async ({ context, account, params: { sessionId }, body }) => {
    const waitMs = context.messagePace.exceeded(account, body.messages.length);
    if (waitMs !== undefined) return later(refusal(429, TOO_FAST), waitMs);
    const stored = new Map<string, MessageReceipt>();
    for (const portion of portions(body.messages)) {
      const appended = await context.store.appendMessages(account, sessionId, portion, ({ created }) => {
        const audience = interestedInSession(account, sessionId);
        // Empty messages are announced as well (realtime contract 16, safe fix 5): no reader has to find them by chance.
        for (const { row, updateSeq } of created) {
          if (row.content instanceof RawText && row.content.bytes.length > LARGEST_ANNOUNCED_BYTES)
            context.publisher.comeAgain(audience);
          else context.publisher.update(audience, updateSeq, newMessage(sessionId, row));
        }
      });
      if (appended === undefined) return refusal(404, "Session not found");
      for (const { id, seq, localId, createdAt, updatedAt } of appended.all)
        stored.set(id, { id, seq, localId, createdAt, updatedAt });
      warnOfTooLarge(context, account, sessionId, appended);
    }
    return json({ messages: [...stored.values()].sort((a, b) => a.seq - b.seq) });
  },
);

function* portions(batch: readonly NewMessage[]): Generator<NewMessage[]> {
  let portion: NewMessage[] = [];
  let bytes = 0;
  for (const message of batch) {
    const more = typeof message.content === "string" ? message.content.length : textBytes(message.content);
    if (portion.length > 0 && bytes + more > PORTION_BYTES) {
      yield portion;
      portion = [];
      bytes = 0;
    }
    portion.push(message);
    bytes += more;
  }
  if (portion.length > 0) yield portion;
}

export const messageEndpoints: readonly Endpoint[] = [newestFirst, read, append];
