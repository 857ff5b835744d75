// `direct_message`: to one client, on this node or another. With a bus, success means that the bus took it.
import { z } from "zod";
import type { Handler } from "../handler.ts";
import { writeMessage } from "../message.ts";
import { content, read, target } from "./data.ts";

const message = z.object({ target_id: target, content });

export const directMessage: Handler = {
  permissions: ["send:message"],
  handle: async ({ hub, now }, client, data) => {
    const { target_id, content } = read(message, data);
    const ts = now();
    const text = writeMessage({
      message_id: 0,
      message_type: "direct_message",
      data: { content, sender_id: client.id, timestamp: ts },
      ts,
    });
    await hub.push(target_id, { data: text });
  },
};
