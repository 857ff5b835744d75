// `join_room`, `leave_room`, `room_message`: the hub checks the membership, and keeps a sender's message from the sender.
import { z } from "zod";
import type { Handler } from "../handler.ts";
import { writeMessage } from "../message.ts";
import { content, read, roomId } from "./data.ts";

const membership = z.object({ room_id: roomId });
const message = z.object({ room_id: roomId, content });

export const joinRoom: Handler = {
  permissions: ["join:room"],
  handle: ({ hub, reply }, client, data) => {
    const { room_id } = read(membership, data);
    hub.joinRoom(client, room_id);
    reply("room_joined", { room_id, status: "joined" });
  },
};

export const leaveRoom: Handler = {
  permissions: ["leave:room", "join:room"],
  handle: ({ hub, reply }, client, data) => {
    const { room_id } = read(membership, data);
    hub.leaveRoom(client, room_id);
    reply("room_left", { room_id, status: "left" });
  },
};

export const roomMessage: Handler = {
  permissions: ["send:message"],
  handle: ({ hub, now }, client, data) => {
    const { room_id, content } = read(message, data);
    const ts = now();
    const text = writeMessage({
      message_id: 0,
      message_type: "room_message",
      data: { room_id, content, sender_id: client.id, timestamp: ts },
      ts,
    });
    hub.sendToRoom(client, room_id, text);
  },
};
