// `session-alive`, `machine-alive`, `session-end`: heartbeats and the deliberate end of a session (realtime contract 6.5 to 6.7).
import { z } from "zod";
import type { SocketEvent } from "../connection.ts";

/** Times are whole milliseconds here, whatever a client's clock gives. */
const time = z.number().transform(Math.trunc);

const sessionSchema = z.object({
  sid: z.string().min(1),
  time,
  thinking: z.unknown().optional(),
});
const machineSchema = z.object({ machineId: z.string().min(1), time });

/** A deliberate end that is older than this is not believed. */
const STALE_MS = 10 * 60_000;

export const sessionAlive: SocketEvent = {
  event: "session-alive",
  handle: ({ room, account, socket }, payload) => {
    const parsed = sessionSchema.safeParse(payload);
    if (!parsed.success) return;
    const { sid, time, thinking } = parsed.data;
    room.presence.heard("session", account, sid, time, Boolean(thinking), socket.id);
  },
};

export const machineAlive: SocketEvent = {
  event: "machine-alive",
  handle: ({ room, account, socket }, payload) => {
    const parsed = machineSchema.safeParse(payload);
    if (parsed.success)
      room.presence.heard("machine", account, parsed.data.machineId, parsed.data.time, false, socket.id);
  },
};

export const sessionEnd: SocketEvent = {
  event: "session-end",
  handle: async ({ room, account }, payload) => {
    const parsed = sessionSchema.safeParse(payload);
    if (!parsed.success) return;
    const now = Date.now();
    const at = Math.min(parsed.data.time, now);
    if (at >= now - STALE_MS) await room.presence.end(account, parsed.data.sid, at);
  },
};
