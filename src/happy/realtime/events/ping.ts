// `ping`: the CLI's flush barrier before it exits. The answer means that everything sent before is durable (realtime contract 6.1).
import type { SocketEvent } from "../connection.ts";
import { messagesSettled } from "./message.ts";

export const ping: SocketEvent = {
  event: "ping",
  handle: async ({ context, socket }, _payload, ack) => {
    await messagesSettled(socket);
    await context.store.settled(socket);
    ack({});
  },
};
