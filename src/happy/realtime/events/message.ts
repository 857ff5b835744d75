// `message`: a client adds one encrypted message to a session. Never acknowledged; not echoed to its sender (realtime contract 6.2).
// So a message that the disk refuses ends its connection: the only way to tell the client, and no later `ping` is answered for it.
// One that comes faster than its account may send waits for its turn, also when its socket closes meanwhile.
import type { Socket } from "socket.io";
import { z } from "zod";
import { identifier } from "../../../limits/identifier.ts";
import { TooFast } from "../../../limits/message-pace.ts";
import { interestedInSession } from "../../audience.ts";
import type { Appended } from "../../store/messages.ts";
import { warnOfTooLarge } from "../../too-large-messages.ts";
import { newMessage } from "../../wire/updates.ts";
import type { SocketEvent } from "../connection.ts";

const schema = z.object({
  sid: identifier,
  message: z.string(),
  // Of another type it is none.
  localId: z.union([identifier, z.unknown().refine((value) => typeof value !== "string")]).optional(),
});

/** The last message of each socket that is not settled; those before it are begun earlier. */
const unsettled = new WeakMap<Socket, Promise<void>>();

export const message: SocketEvent = {
  event: "message",
  handle: async ({ context, account, facts, socket }, payload) => {
    const parsed = schema.safeParse(payload);
    if (!parsed.success) return;
    const { sid, message: content, localId } = parsed.data;
    const batch = [{ content, localId: typeof localId === "string" ? localId : null }];
    const announce = ({ created }: Appended) => {
      for (const { row, updateSeq } of created) {
        context.publisher.update(
          interestedInSession(account, sid),
          updateSeq,
          newMessage(sid, row),
          socket.id,
        );
      }
    };
    const store = async () => {
      // Shut out while it waited.
      if (context.revocations.refuses(facts.claims)) return;
      const appended = await context.store.appendMessages(account, sid, batch, announce, socket);
      if (appended === undefined || appended.tooLarge.length === 0) return;
      warnOfTooLarge(context, account, sid, appended);
      // Nothing else tells the client.
      socket.conn.close();
    };
    const stored = context.messagePace.turn(account, content.length, store);
    unsettled.set(socket, stored);
    try {
      await stored;
    } catch (error) {
      socket.conn.close();
      if (!(error instanceof TooFast)) throw error;
    }
  },
};

/** Resolves when every message that this socket has sent so far is stored, or was refused. */
export async function messagesSettled(socket: Socket): Promise<void> {
  await unsettled.get(socket)?.catch(() => {});
}
