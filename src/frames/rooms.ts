// Rooms of this node and who is in them. The same id on several nodes is one logical room; members and limits are each node's own
// (frames contract, section 12).
import type { Client } from "./client.ts";
import {
  ClientAlreadyInRoomError,
  ClientNotInRoomError,
  LimitError,
  RoomAlreadyExistsError,
  RoomIsFullError,
  RoomNotFoundError,
} from "./errors.ts";
import type { HubEvents } from "./events.ts";
import type { HubMetrics } from "./metrics.ts";

export interface RoomInfo {
  readonly id: string;
  readonly name: string;
  /** 0 is unlimited. */
  readonly maxMembers: number;
  readonly memberCount: number;
}

interface Room {
  readonly id: string;
  readonly name: string;
  readonly maxMembers: number;
  readonly members: Map<string, Client>;
  /** Made by a join: it goes with its last member. */
  readonly transient: boolean;
}

const MAX_ROOMS = 100_000;
const MAX_ROOMS_PER_CLIENT = 1_000;
/** Of all clients together: what joins cost in memory, some 100 bytes each. */
const MAX_MEMBERSHIPS = 250_000;

export class Rooms {
  readonly #rooms = new Map<string, Room>();
  readonly #byClient = new Map<Client, Set<Room>>();
  #memberships = 0;
  readonly #endReport: () => void;

  constructor(
    private readonly events: HubEvents,
    private readonly metrics: HubMetrics,
    private readonly autoCreate: boolean,
    private readonly maxMemberships = MAX_MEMBERSHIPS,
  ) {
    this.#endReport = metrics.activeRooms.report(() => this.#rooms.size);
  }

  get count(): number {
    return this.#rooms.size;
  }

  /** @throws RoomAlreadyExistsError, LimitError */
  create(id: string, name: string, maxMembers = 0): RoomInfo {
    return info(this.#create(id, name, maxMembers, false));
  }

  /** Members are removed without a word. @throws RoomNotFoundError */
  delete(id: string): void {
    const room = this.#require(id);
    this.#rooms.delete(id);
    for (const client of room.members.values()) this.#forget(client, room);
    this.events.emit("room_deleted", { roomId: id });
  }

  /** @throws RoomNotFoundError */
  get(id: string): RoomInfo {
    return info(this.#require(id));
  }

  has(id: string): boolean {
    return this.#rooms.has(id);
  }

  list(): RoomInfo[] {
    return [...this.#rooms.values()].map(info);
  }

  /** @throws RoomNotFoundError, RoomIsFullError before ClientAlreadyInRoomError, LimitError */
  join(id: string, client: Client): void {
    const mine = this.#byClient.get(client) ?? new Set();
    const fits = mine.size < MAX_ROOMS_PER_CLIENT && this.#memberships < this.maxMemberships;
    const room =
      this.autoCreate && !this.#rooms.has(id) && fits ? this.#create(id, id, 0, true) : this.#require(id);
    if (room.maxMembers > 0 && room.members.size >= room.maxMembers) throw new RoomIsFullError();
    if (room.members.has(client.id)) throw new ClientAlreadyInRoomError();
    if (this.#memberships >= this.maxMemberships) throw new LimitError("the rooms have too many members");
    if (mine.size >= MAX_ROOMS_PER_CLIENT) throw new LimitError("the client is in too many rooms");
    room.members.set(client.id, client);
    this.#memberships++;
    this.#byClient.set(client, mine.add(room));
    this.metrics.roomJoins.add();
    this.events.emit("room_joined", { clientId: client.id, roomId: id, claims: client.identity.claims });
  }

  /** @throws RoomNotFoundError, ClientNotInRoomError */
  leave(id: string, client: Client): void {
    const room = this.#require(id);
    if (room.members.get(client.id) !== client) throw new ClientNotInRoomError();
    this.#remove(room, client);
  }

  /** A client that is gone leaves no member behind. */
  leaveAll(client: Client): void {
    for (const room of [...(this.#byClient.get(client) ?? [])]) this.#remove(room, client);
  }

  /** @throws RoomNotFoundError */
  requireMember(id: string, client: Client): void {
    if (this.#require(id).members.get(client.id) !== client) throw new ClientNotInRoomError();
  }

  /** Clients of this node in the room; none for an unknown room. */
  members(id: string): Iterable<Client> {
    return this.#rooms.get(id)?.members.values() ?? [];
  }

  /** Clients of this node in the room; 0 for an unknown room. */
  size(id: string): number {
    return this.#rooms.get(id)?.members.size ?? 0;
  }

  roomsOf(client: Client): string[] {
    return [...(this.#byClient.get(client) ?? [])].map(({ id }) => id);
  }

  close(): void {
    this.#endReport();
    this.#rooms.clear();
    this.#byClient.clear();
    this.#memberships = 0;
  }

  #create(id: string, name: string, maxMembers: number, transient: boolean): Room {
    if (this.#rooms.has(id)) throw new RoomAlreadyExistsError();
    if (this.#rooms.size >= MAX_ROOMS) throw new LimitError("there are too many rooms");
    const room: Room = { id, name, maxMembers, transient, members: new Map() };
    this.#rooms.set(id, room);
    this.events.emit("room_created", { roomId: id });
    return room;
  }

  #require(id: string): Room {
    const room = this.#rooms.get(id);
    if (room === undefined) throw new RoomNotFoundError();
    return room;
  }

  #remove(room: Room, client: Client): void {
    room.members.delete(client.id);
    this.#forget(client, room);
    this.metrics.roomLeaves.add();
    this.events.emit("room_left", { clientId: client.id, roomId: room.id, claims: client.identity.claims });
    if (room.transient && room.members.size === 0 && this.#rooms.delete(room.id))
      this.events.emit("room_deleted", { roomId: room.id });
  }

  #forget(client: Client, room: Room): void {
    const rooms = this.#byClient.get(client);
    if (rooms?.delete(room)) this.#memberships--;
    if (rooms?.size === 0) this.#byClient.delete(client);
  }
}

function info({ id, name, maxMembers, members }: Room): RoomInfo {
  return { id, name, maxMembers, memberCount: members.size };
}
