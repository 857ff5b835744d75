// `session-alive`, `machine-alive`, `session-end`: heartbeats and the deliberate end of a session (realtime contract 6.5 to 6.7).
import { z } from "zod";
import { identifier } from "../../../limits/identifier.ts";
import type { SocketEvent } from "../connection.ts";

/** Any number: presence holds it to our clock. JSON can say numbers that are infinite, which zod takes for none. */
const time = z.custom<number>((value) => typeof value === "number");

const sessionSchema = z.object({
  sid: identifier.min(1),
  time,
  thinking: z.unknown().optional(),
});
const machineSchema = z.object({ machineId: identifier.min(1), time });

export const sessionAlive: SocketEvent = {
  event: "session-alive",
  handle: ({ context, account, socket }, payload) => {
    const parsed = sessionSchema.safeParse(payload);
    if (!parsed.success) return;
    const { sid, time, thinking } = parsed.data;
    return context.presence.heard("session", account, sid, time, Boolean(thinking), socket.id);
  },
};

export const machineAlive: SocketEvent = {
  event: "machine-alive",
  handle: ({ context, account, socket }, payload) => {
    const parsed = machineSchema.safeParse(payload);
    if (parsed.success)
      return context.presence.heard(
        "machine",
        account,
        parsed.data.machineId,
        parsed.data.time,
        false,
        socket.id,
      );
  },
};

export const sessionEnd: SocketEvent = {
  event: "session-end",
  handle: async ({ context, account }, payload) => {
    const parsed = sessionSchema.safeParse(payload);
    if (parsed.success) await context.presence.end(account, parsed.data.sid, parsed.data.time);
  },
};
