// Who of the CLI is in which room, in the order in which they came. A socket joins when it connects and at no other time; what it was
// asked and has not answered ends when it goes.
import type { Namespace, Socket } from "socket.io";
import { REFUSED_ACK } from "../../server/packet-gate.ts";

/** hapi-socket 5: what `update` carries. */
export interface UpdateEnvelope {
  readonly id: string;
  readonly seq: number;
  readonly createdAt: number;
  readonly body: { readonly t: string };
}

export type Room = { readonly session: string } | { readonly machine: string };

export interface CliRooms {
  /** `update` to every socket of the session's or machine's room but `except`. */
  update(room: Room, envelope: UpdateEnvelope, except?: object): void;
  /** `update` that wants an acknowledgement, from the room's newest socket; undefined when it does not answer in time, or nobody is there. */
  ask(room: { readonly session: string }, envelope: UpdateEnvelope, withinMs: number): Promise<unknown>;
  isConnected(room: Room): boolean;
}

export class SocketRooms implements CliRooms {
  readonly #members = new Map<string, Set<Socket>>();
  /** What ends the questions that a socket has not answered. */
  readonly #asked = new Map<Socket, Set<() => void>>();

  constructor(private readonly namespace: Namespace) {}

  join(socket: Socket, room: Room): void {
    const name = nameOf(room);
    void socket.join(name);
    const members = this.#members.get(name) ?? new Set();
    this.#members.set(name, members.add(socket));
  }

  /** It is gone: out of every room. */
  leave(socket: Socket, rooms: readonly Room[]): void {
    for (const room of rooms) {
      const name = nameOf(room);
      const members = this.#members.get(name);
      members?.delete(socket);
      if (members?.size === 0) this.#members.delete(name);
    }
    for (const end of this.#asked.get(socket) ?? []) end();
  }

  update(room: Room, envelope: UpdateEnvelope, except?: object): void {
    const name = nameOf(room);
    const members = this.#members.get(name);
    if (members === undefined) return;
    const receivers = this.namespace.local.to(name);
    if (!isMember(members, except)) receivers.emit("update", envelope);
    // A sender that is alone is what most rooms have: nothing is encoded for nobody.
    else if (members.size > 1) receivers.except(except.id).emit("update", envelope);
  }

  ask(room: { readonly session: string }, envelope: UpdateEnvelope, withinMs: number): Promise<unknown> {
    const socket = [...(this.#members.get(nameOf(room)) ?? [])].at(-1);
    if (socket === undefined) return Promise.resolve(undefined);
    const { promise, resolve } = Promise.withResolvers<unknown>();
    const asked = this.#asked.get(socket) ?? new Set();
    this.#asked.set(socket, asked);
    const end = (answer?: unknown) => {
      asked.delete(end);
      if (asked.size === 0) this.#asked.delete(socket);
      resolve(answer);
    };
    asked.add(end);
    socket.timeout(withinMs).emit("update", envelope, (error: Error | null, answer: unknown) => {
      end(error || answer === REFUSED_ACK ? undefined : answer);
    });
    return promise;
  }

  isConnected(room: Room): boolean {
    return this.#members.has(nameOf(room));
  }

  /** Who came first of those that are still there. */
  first(room: Room): Socket | undefined {
    const [first] = this.#members.get(nameOf(room)) ?? [];
    return first;
  }

  isMember(room: Room, socket: Socket): boolean {
    return this.#members.get(nameOf(room))?.has(socket) === true;
  }
}

function isMember(members: ReadonlySet<object>, socket: object | undefined): socket is Socket {
  return socket !== undefined && members.has(socket);
}

function nameOf(room: Room): string {
  return "session" in room ? `session:${room.session}` : `machine:${room.machine}`;
}
