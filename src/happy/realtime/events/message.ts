// `message`: a client adds one encrypted message to a session. Never acknowledged; not echoed to its sender (realtime contract 6.2).
// So a message that the disk refuses ends its connection: the only way to tell the client, and no later `ping` is answered for it.
import { z } from "zod";
import { identifier } from "../../../limits/identifier.ts";
import { interestedInSession } from "../../audience.ts";
import { type Appended, appendMessages } from "../../store/messages.ts";
import { newMessage } from "../../updates.ts";
import type { SocketEvent } from "../connection.ts";

const schema = z.object({
  sid: identifier,
  message: z.string(),
  // Of another type it is none.
  localId: z.union([identifier, z.unknown().refine((value) => typeof value !== "string")]).optional(),
});

export const message: SocketEvent = {
  event: "message",
  handle: async ({ room, account, socket }, payload) => {
    const parsed = schema.safeParse(payload);
    if (!parsed.success) return;
    const { sid, message: content, localId } = parsed.data;
    const batch = [{ content, localId: typeof localId === "string" ? localId : null }];
    try {
      const announce = ({ created }: Appended) => {
        for (const { row, updateSeq } of created) {
          room.publisher.update(
            interestedInSession(account, sid),
            updateSeq,
            newMessage(sid, row),
            socket.id,
          );
        }
      };
      await appendMessages(room.database, account, sid, batch, announce, socket);
    } catch (error) {
      socket.conn.close();
      throw error;
    }
  },
};
