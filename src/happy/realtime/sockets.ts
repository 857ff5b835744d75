// The Socket.IO side of the Happy protocol: one engine at /v1/updates/, the namespace `/`, and invite paths that count as `/`.
import type { Logger } from "pino";
import type { Namespace, Socket } from "socket.io";
import type { TokenClaims } from "../../auth/tokens.ts";
import type { Cluster } from "../../bus/cluster.ts";
import { type CallerOf, type SocketIoRoom, socketIo } from "../../server/socket-io.ts";
import { everySocket, roomsOf, userScoped } from "../audience.ts";
import type { HappyRoom } from "../room.ts";
import { machineActivity } from "../updates.ts";
import { authenticate, Refused } from "./authenticate.ts";
import { attach, type ConnectionFacts } from "./connection.ts";
import { openDoctorNamespace } from "./doctor-namespace.ts";
import { socketEvents } from "./events/index.ts";

/** Figures of realtime contract 1.1. */
export function happySockets(
  maxQueuedBytes: number,
  cluster: Cluster | undefined,
  log: Logger,
): SocketIoRoom {
  return socketIo({
    path: "/v1/updates/",
    limits: { maxMessageBytes: 1_000_000, maxQueuedBytes },
    pingIntervalMs: 15_000,
    pingTimeoutMs: 45_000,
    connectTimeoutMs: 20_000,
    cluster,
    // Invite paths count as `/`, also on the other nodes.
    oneAudience: true,
    log,
  });
}

/** Clients whose server URL has the path of an invite put that path into the namespace (realtime contract, decisions). */
const INVITE_PATH = /^\/i\/[A-Za-z0-9_-]{1,100}\/?$/;

export class HappyNamespaces {
  /** By identity: a namespace ends with its last socket, and a later one may bear its name while somebody is still being let in. */
  readonly #invited = new Set<Namespace>();
  readonly #parent;

  constructor(private readonly io: SocketIoRoom["io"]) {
    this.#parent = io.of(INVITE_PATH);
  }

  /** Every namespace with Happy clients. */
  *all(): Iterable<Namespace> {
    yield this.io.of("/");
    yield* this.#invited;
  }

  /** What is connected now, for the figures. */
  *connected(): Iterable<{ type: string; client: string }> {
    for (const { sockets } of this.all()) {
      for (const { data } of sockets.values()) {
        const { scope, client } = data as ConnectionFacts;
        yield { type: `${scope.kind}-scoped`, client };
      }
    }
  }

  /** Begins to accept: middleware and handlers stand before the first packet is read. */
  accept(room: HappyRoom, callerOf: CallerOf): void {
    const guard = (socket: Socket, next: (error?: Error) => void) => {
      authenticate(socket.handshake, room).then(
        (facts) => {
          socket.data = facts;
          next();
        },
        (error: unknown) => {
          if (error instanceof Refused) return next(error);
          // A passing trouble must not look like a bad token: apps would stop trying (realtime contract 2.4).
          room.log.error({ err: error }, "a socket could not be authenticated");
          socket.conn.close();
        },
      );
    };
    const welcome = (socket: Socket) => {
      this.#welcome(room, socket);
      const { account } = (socket.data as ConnectionFacts).claims;
      if (socket.connected) callerOf(socket)?.authenticated(account);
    };
    this.io.use(guard).on("connection", welcome);
    this.#parent.use(guard).on("connection", welcome);
    openDoctorNamespace(this.io);
  }

  /** Whether somebody has an app of this account open in front; only a declared type counts (realtime contract 11.2). */
  isLooking(account: string): boolean {
    for (const { adapter, sockets } of this.all()) {
      for (const id of adapter.rooms.get(everySocket(account)) ?? []) {
        const facts = sockets.get(id)?.data as ConnectionFacts | undefined;
        if (facts?.declaredType === "user-scoped" && facts.focus === "active") return true;
      }
    }
    return false;
  }

  /** What every connected client told. */
  *facts(): Iterable<ConnectionFacts> {
    for (const { sockets } of this.all())
      for (const socket of sockets.values()) yield socket.data as ConnectionFacts;
  }

  /** Closes the connections of whom `isShutOut` says so. They come back, and hear that they are refused. */
  shutOut(isShutOut: (claims: TokenClaims) => boolean): void {
    for (const { sockets } of this.all())
      for (const socket of sockets.values())
        if (isShutOut((socket.data as ConnectionFacts).claims)) socket.conn.close();
  }

  #welcome(room: HappyRoom, socket: Socket): void {
    const facts = socket.data as ConnectionFacts;
    // Shut out between the check and now.
    if (room.access.refuses(facts.claims)) {
      socket.conn.close();
      return;
    }
    room.sightings.note(facts.claims, facts.client);
    const { account, scope } = facts;
    if (socket.nsp.name !== "/") this.#invited.add(socket.nsp);
    socket.join(roomsOf(account, scope));
    attach({ account, facts, room, socket }, socketEvents);
    if (scope.kind === "machine") {
      room.presence.socketJoined("machine", account, scope.machineId, socket.id);
      room.publisher.ephemeral(userScoped(account), machineActivity(scope.machineId, true, Date.now()));
    }
    if (scope.kind === "session") room.presence.socketJoined("session", account, scope.sessionId, socket.id);
    socket.on("disconnect", () => {
      room.sightings.note(facts.claims, facts.client);
      room.rpc.drop(socket.id);
      room.presence.socketLeft(socket.id);
      if (socket.nsp.name !== "/" && socket.nsp.sockets.size === 0) this.#invited.delete(socket.nsp);
    });
  }
}
