// What server code may do with the hub, under the names that later phases keep (frames contract, section 17). A thin face: every
// promise is the hub's.
import type { Payload } from "../bus/envelope.ts";
import { type Client, closeReasons } from "./client.ts";
import type { HubEventType, HubListener } from "./events.ts";
import type { BroadcastResult, Frame } from "./frame.ts";
import type { Handler } from "./handler.ts";
import type { Hub } from "./hub.ts";
import type { Permission } from "./identity.ts";
import type { RoomInfo } from "./rooms.ts";

export class HubSdk {
  constructor(private readonly hub: Hub) {}

  /** Clients of this node. */
  getClientCount(): number {
    return this.hub.clientCount;
  }

  /** @throws ClientNotFoundError */
  getClient(id: string): Client {
    return this.hub.getClient(id);
  }

  /** @throws ClientNotFoundError */
  disconnectClient(id: string): void {
    this.hub.getClient(id).shutdown(closeReasons.disconnected);
  }

  broadcastAll(payload: Payload): Promise<BroadcastResult> {
    return this.hub.broadcast(payload);
  }

  /** @throws ClientNotFoundError, SendBufferFullError, ClientClosedError */
  sendToClient(id: string, frame: Frame): Promise<void> {
    return this.hub.push(id, frame);
  }

  /** `maxMembers` 0 is unlimited. @throws RoomAlreadyExistsError, LimitError */
  createRoom(id: string, name: string, maxMembers = 0): RoomInfo {
    return this.hub.rooms.create(id, name, maxMembers);
  }

  /** @throws RoomNotFoundError */
  deleteRoom(id: string): void {
    this.hub.rooms.delete(id);
  }

  /** @throws RoomNotFoundError */
  getRoom(id: string): RoomInfo {
    return this.hub.rooms.get(id);
  }

  listRooms(): RoomInfo[] {
    return this.hub.rooms.list();
  }

  getRoomCount(): number {
    return this.hub.rooms.count;
  }

  /** @throws ClientNotFoundError, RoomNotFoundError, RoomIsFullError, ClientAlreadyInRoomError, LimitError */
  joinRoom(roomId: string, clientId: string): void {
    this.hub.rooms.join(roomId, this.hub.getClient(clientId));
  }

  /** @throws ClientNotFoundError, RoomNotFoundError, ClientNotInRoomError */
  leaveRoom(roomId: string, clientId: string): void {
    this.hub.rooms.leave(roomId, this.hub.getClient(clientId));
  }

  /** @throws RoomNotFoundError only when the room is unknown here and this node is alone. */
  broadcastToRoom(roomId: string, payload: Payload, exclude?: string): Promise<BroadcastResult> {
    return this.hub.broadcastToRoom(roomId, payload, exclude);
  }

  /** Ids of this node's members. @throws RoomNotFoundError */
  getRoomMembers(roomId: string): string[] {
    this.hub.rooms.get(roomId);
    return [...this.hub.rooms.members(roomId)].map(({ id }) => id);
  }

  /** @throws ClientNotFoundError */
  getClientRooms(clientId: string): string[] {
    return this.hub.rooms.roomsOf(this.hub.getClient(clientId));
  }

  /** True for a client with a verified token. @throws ClientNotFoundError */
  isAuthenticated(clientId: string): boolean {
    return this.hub.getClient(clientId).identity.claims !== undefined;
  }

  /** Undefined: everything is permitted. @throws ClientNotFoundError */
  getClientPermissions(clientId: string): readonly string[] | undefined {
    const { permissions } = this.hub.getClient(clientId).identity;
    return permissions === undefined ? undefined : [...permissions];
  }

  /** @throws ClientNotFoundError */
  checkClientPermission(clientId: string, permission: Permission): boolean {
    return this.hub.getClient(clientId).isPermitted(permission);
  }

  on(type: HubEventType, listener: HubListener): void {
    this.hub.events.on(type, listener);
  }

  off(type: HubEventType, listener: HubListener): void {
    this.hub.events.off(type, listener);
  }

  registerMessageHandler(type: string, handler: Handler): void {
    this.hub.dispatcher.register(type, handler);
  }

  close(): void {
    this.hub.close();
  }
}
