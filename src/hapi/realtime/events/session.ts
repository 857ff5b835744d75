// Life of a session, and what became of the messages that wait for it. None of these has an acknowledgement but the steering.
import { z } from "zod";
import { cliEvent, tellAbsence } from "../connection.ts";
import type { Room } from "../rooms.ts";
import { flag, id, localIds, nullableWord, word } from "./shapes.ts";

const subject = ({ sid }: { readonly sid: string }): Room => ({ session: sid });

const alive = z.object({
  sid: id,
  time: z.number(),
  thinking: z.unknown().optional(),
  permissionMode: word,
  modelMode: word,
  model: nullableWord,
  modelReasoningEffort: nullableWord,
  effort: nullableWord,
  serviceTier: nullableWord,
  collaborationMode: word,
  copilotAgentMode: word,
});

export const sessionAlive = cliEvent("session-alive", {
  schema: alive,
  subject,
  handle: ({ deeds, from }, { thinking, ...told }) =>
    deeds.sessionAlive(from, { ...told, thinking: Boolean(thinking) }),
});

const end = z.object({
  sid: id,
  time: z.number(),
  reason: z.enum(["completed", "terminated", "error", "handoff", "cleared"]).optional().catch(undefined),
});

export const sessionEnd = cliEvent("session-end", {
  schema: end,
  subject,
  handle: ({ deeds, from }, { sid, time, reason }) => deeds.sessionEnd(from, { sid, time, reason }),
});

export const sessionReady = cliEvent("session-ready", {
  schema: z.object({ sid: id, time: z.number() }),
  subject,
  handle: ({ deeds, from }, ready) => deeds.sessionReady(from, ready),
});

const consumed = z.object({ sid: id, localIds, clearQueuedThinkingGrace: flag, steered: flag });

export const messagesConsumed = cliEvent("messages-consumed", {
  schema: consumed,
  subject,
  handle: ({ deeds, from }, { clearQueuedThinkingGrace, steered, ...which }) =>
    deeds.messagesConsumed(from, {
      ...which,
      clearQueuedThinkingGrace: clearQueuedThinkingGrace === true,
      steered: steered === true,
    }),
});

export const messagesIndeterminate = cliEvent("messages-indeterminate", {
  schema: z.object({ sid: id, localIds }),
  subject,
  handle: ({ deeds, from }, which) => deeds.messagesIndeterminate(from, which),
});

export const messagesSteerState = cliEvent("messages-steer-state", {
  schema: z.object({ sid: id, localIds, state: z.enum(["queued", "dispatching"]) }),
  failure: { ok: false },
  subject,
  handle: async ({ deeds, from, socket }, steer, ack) => {
    const done = await deeds.messagesSteerState(from, steer);
    // Both: the answer, and the event that says why.
    if (typeof done === "string") tellAbsence(socket, subject(steer), done);
    ack({ ok: done === true });
  },
});

export const nativeQueueMessage = cliEvent("native-queue-message", {
  schema: z.object({ sid: id, localId: id, text: z.string().nullable() }),
  subject,
  handle: ({ deeds, from }, message) => deeds.nativeQueueMessage(from, message),
});
