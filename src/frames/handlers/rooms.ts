// `join_room`, `leave_room`, `room_message`: membership is checked, and the sender does not hear its own message.
import { z } from "zod";
import type { Handler } from "../dispatcher.ts";
import { writeMessage } from "../message.ts";
import { content, read, roomId } from "./data.ts";

const membership = z.object({ room_id: roomId });
const message = z.object({ room_id: roomId, content });

export const joinRoom: Handler = {
  permissions: ["join:room"],
  handle: ({ hub, reply }, client, data) => {
    const { room_id } = read(membership, data);
    hub.rooms.join(room_id, client);
    reply("room_joined", { room_id, status: "joined" });
  },
};

export const leaveRoom: Handler = {
  permissions: ["leave:room", "join:room"],
  handle: ({ hub, reply }, client, data) => {
    const { room_id } = read(membership, data);
    hub.rooms.leave(room_id, client);
    reply("room_left", { room_id, status: "left" });
  },
};

export const roomMessage: Handler = {
  permissions: ["send:message"],
  handle: ({ hub, now }, client, data) => {
    const { room_id, content } = read(message, data);
    hub.rooms.requireMember(room_id, client);
    hub.chargeForRoom(client, room_id);
    const ts = now();
    const text = writeMessage({
      message_id: 0,
      message_type: "room_message",
      data: { room_id, content, sender_id: client.id, timestamp: ts },
      ts,
    });
    // The next message of this client need not wait until the bus took this one: their order is kept anyway.
    void hub.broadcastToRoom(room_id, text, client.id);
  },
};
