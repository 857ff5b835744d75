// The built-in messages by type, and the one dispatcher that hubs share unless they are given another.
import type { Logger } from "pino";
import { Dispatcher } from "../dispatcher.ts";
import type { Handler } from "../handler.ts";
import { directMessage } from "./direct-message.ts";
import { ping } from "./ping.ts";
import { joinRoom, leaveRoom, roomMessage } from "./rooms.ts";

const builtIn: Readonly<Record<string, Handler>> = {
  ping,
  join_room: joinRoom,
  leave_room: leaveRoom,
  room_message: roomMessage,
  direct_message: directMessage,
};

/** A dispatcher of its own, with the built-in messages. */
export function createDispatcher(log: Logger): Dispatcher {
  const dispatcher = new Dispatcher(log);
  for (const [type, handler] of Object.entries(builtIn)) dispatcher.register(type, handler);
  // Clients of the first version send numbers: 1 is a ping.
  dispatcher.registerId(1, "ping");
  return dispatcher;
}

let shared: Dispatcher | undefined;

/** The only global state of the hub: server code registers its handlers here before the server starts. */
export function defaultDispatcher(log: Logger): Dispatcher {
  shared ??= createDispatcher(log);
  return shared;
}
