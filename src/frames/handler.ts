// What handles one type of message, and all that it may do: answer, push, and act in rooms for the client that sent the message. A
// handler sees neither the hub nor its other clients.
import type { Client } from "./client.ts";
import type { Frame } from "./frame.ts";
import type { Permission } from "./identity.ts";

/** The hub as handlers see it. */
export interface HandlerHub {
  /** To one client, on this node or another. @throws ClientNotFoundError, SendBufferFullError, ClientClosedError */
  push(clientId: string, frame: Frame): Promise<void>;
  /** @throws RoomNotFoundError, RoomIsFullError, ClientAlreadyInRoomError, LimitError */
  joinRoom(client: Client, roomId: string): void;
  /** @throws RoomNotFoundError, ClientNotInRoomError */
  leaveRoom(client: Client, roomId: string): void;
  /**
   * From a member to all others: it pays for what that costs and does not hear its own message. Queued for the members of this node
   * when this returns; the bus takes it later, in the order of the calls. @throws RoomNotFoundError, ClientNotInRoomError
   */
  sendToRoom(client: Client, roomId: string, text: string): void;
  /** A client's clock told how long its message was on the way. */
  observeLatency(ms: number): void;
}

export interface HandlerContext {
  readonly hub: HandlerHub;
  /** The request's id, which a reply repeats. */
  readonly messageId: number;
  /** Aborted when the client is gone. */
  readonly signal: AbortSignal;
  /** Epoch milliseconds. */
  now(): number;
  reply(type: string, data: unknown): void;
}

export interface Handler {
  /** The client needs one of these; none when absent. */
  readonly permissions?: readonly Permission[];
  /**
   * `data` is an empty object when the client sent none. @throws HubError for what the client shall hear with its code; anything
   * else is logged, and the client hears of a server error.
   */
  handle(context: HandlerContext, client: Client, data: unknown): void | Promise<void>;
}
