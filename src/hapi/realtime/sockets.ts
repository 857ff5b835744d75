// The Socket.IO side of the hub: namespaces /cli and /terminal at /socket.io/, which topics may share (hapi-http-sse H10). /cli takes
// frames of 48 MiB once a token was accepted there, and nothing else does.
//
// permessage-deflate is not negotiated, though the original offers it: it is one setting of all WebSockets of a Bun server; a stranger
// could make 48 KB of it 48 MiB before any handler sees it; and what has arrived of a frame is counted by the kernel in compressed bytes,
// so that the bounds on unfinished frames would not hold. The CLI works without it.
import type { Logger } from "pino";
import type { Socket } from "socket.io";
import type { Limits } from "../../limits/limits.ts";
import { MemoryPieces } from "../../limits/memory-pieces.ts";
import type { LimitsConfig } from "../../limits/settings.ts";
import type { ClaimedNamespace } from "../../server/claimed-namespace.ts";
import type { NamespaceClaim, NamespaceLimits, RefusedRequest } from "../../server/socket-claims.ts";
import type { SocketIoPaths } from "../../server/socket-io.ts";
import { accountOf } from "../auth/web-tokens.ts";
import { OwnIds } from "../rpc/own-ids.ts";
import { HapiRpc } from "../rpc/rpc.ts";
import { AgentMirror } from "../terminal/agent-mirror.ts";
import { agentRoom, attachPage } from "../terminal/page-events.ts";
import { Terminals } from "../terminal/terminals.ts";
import { attach, type CliConnection, type MessageTurns, type SocketServices } from "./connection.ts";
import type { HubDeeds, Sender } from "./deeds.ts";
import { cliEvents } from "./events/index.ts";
import {
  type CliFacts,
  cliConnecting,
  pageConnecting,
  type SocketAccess,
  TooManyGuesses,
} from "./handshake.ts";
import type { AllowsOrigin } from "./origins.ts";
import { SocketRooms } from "./rooms.ts";
import { Seats } from "./seats.ts";

export const SOCKET_PATH = "/socket.io/";
export const CLI_FRAME_BYTES = 50_331_648;
/** What somebody pastes into a terminal comes in one piece. */
const PAGE_FRAME_BYTES = 4 * 1024 * 1024;

export interface HapiSocketsParts {
  readonly paths: SocketIoPaths;
  readonly limits: Limits;
  /** Asked each time where they may change. */
  readonly config: Pick<LimitsConfig, "maxQueuedBytes" | "maxAnonymousBodyBytes" | "maxAccountSockets">;
  readonly terminals: { readonly max: number; readonly idleMs: number };
  readonly access: SocketAccess;
  readonly allowsOrigin: AllowsOrigin;
  readonly pace: MessageTurns;
  readonly log: Logger;
}

export class HapiSockets {
  readonly rooms: SocketRooms;
  readonly rpc: HapiRpc;
  readonly terminals: Terminals;
  readonly #mirror: AgentMirror;
  readonly #cli: ClaimedNamespace;
  readonly #pages: ClaimedNamespace;
  #deeds: HubDeeds | undefined;

  constructor(private readonly parts: HapiSocketsParts) {
    const { paths, limits, terminals } = parts;
    this.#cli = paths.claim(SOCKET_PATH, this.#claim("/cli", CLI_FRAME_BYTES));
    this.#pages = paths.claim(SOCKET_PATH, this.#claim("/terminal", PAGE_FRAME_BYTES));
    // Anybody may join it, and hears nothing there; topics ask who comes, where they are on.
    paths.claimOpen(SOCKET_PATH, { protocol: "hapi", namespace: "/", yields: true });
    this.rooms = new SocketRooms(this.#cli.namespace);
    this.rpc = new HapiRpc({ memory: limits.memory });
    const cliOf = (session: string) => this.rooms.first({ session });
    this.terminals = new Terminals({
      maxTerminals: terminals.max,
      idleMs: terminals.idleMs,
      isSessionActive: (namespace, id) => this.#deeds?.isSessionActive(namespace, id) === true,
      cliOf,
      pieces: new MemoryPieces("terminal replays", limits.memory),
    });
    this.#mirror = new AgentMirror({
      cliOf,
      isCliOf: (session, socket) => this.rooms.isMember({ session }, socket as Socket),
      show: (session, event, payload) =>
        this.#pages.namespace.local.to(agentRoom(session)).emit(event, payload),
    });
  }

  /** Begins to accept: before the door opens. */
  accept(deeds: HubDeeds): void {
    this.#deeds = deeds;
    const { pace, log, limits } = this.parts;
    const { bounds } = limits;
    const { rooms, rpc, terminals } = this;
    const services: SocketServices = {
      deeds,
      rooms,
      rpc,
      terminals,
      mirror: this.#mirror,
      pace,
      bounds,
      log,
    };
    this.#acceptClis(services);
    this.#acceptPages(services);
  }

  /** Who is connected now, for the figures. */
  counts(): { readonly cli: number; readonly terminal: number } {
    return { cli: this.#cli.namespace.sockets.size, terminal: this.#pages.namespace.sockets.size };
  }

  /** The same by the namespace of the hub that they are in. */
  countsByNamespace(): ReadonlyMap<string, number> {
    const counts = new Map<string, number>();
    for (const { namespace } of this.#accepted()) counts.set(namespace, (counts.get(namespace) ?? 0) + 1);
    return counts;
  }

  /** Ends those of a namespace of the hub with their connections, so that their clients come back and find what is there now. */
  end(namespace: string): void {
    for (const one of [...this.#accepted()]) if (one.namespace === namespace) one.claimed.end(one.socket);
  }

  *#accepted() {
    for (const claimed of [this.#cli, this.#pages])
      for (const socket of claimed.namespace.sockets.values()) {
        const { namespace } = socket.data as { readonly namespace?: string };
        if (namespace !== undefined) yield { claimed, socket, namespace };
      }
  }

  /** The door is closed. */
  stop(): void {
    this.terminals.stop();
  }

  #claim(namespace: string, frameBytes: number): NamespaceClaim {
    const { config, allowsOrigin, log } = this.parts;
    const limits: NamespaceLimits = {
      maxMessageBytes: frameBytes,
      maxQueuedBytes: config.maxQueuedBytes,
      maxPollingBytes: frameBytes,
    };
    return {
      protocol: "hapi",
      namespace,
      limits,
      maxStrangerBodyBytes: () => config.maxAnonymousBodyBytes,
      engine: {
        pingIntervalMs: 25_000,
        pingTimeoutMs: 20_000,
        connectTimeoutMs: 20_000,
        maxPayloadBytes: CLI_FRAME_BYTES,
      },
      cors: { origins: allowsOrigin, methods: ["GET", "POST"] },
      refuses: async (request, facts) => {
        const origin = request.headers.get("origin");
        // A preflight is answered as such, whatever it asks for.
        if (origin === null || request.method === "OPTIONS" || allowsOrigin(origin, request, facts))
          return undefined;
        return FOREIGN_PAGE();
      },
      // What is too deep to be read is acknowledged all the same.
      failureOf: (event) => cliEvents.get(event)?.failure ?? null,
      log,
    };
  }

  #acceptClis(services: SocketServices): void {
    const { deeds, rooms, rpc, terminals, mirror, log } = services;
    const { access } = this.parts;
    const seats = new Seats(this.parts);
    const claimed = this.#cli;
    claimed.admit(async (socket) => {
      const address = claimed.callerOf(socket)?.address ?? "";
      const facts = await cliConnecting(access, deeds, socket.handshake, address).catch((error: unknown) => {
        if (error instanceof TooManyGuesses) claimed.end(socket);
        throw error;
      });
      seats.take(facts.namespace, socket);
      socket.data = facts;
    });
    claimed.welcome((socket) => {
      const facts = socket.data as CliFacts;
      const { namespace } = facts;
      claimed.callerOf(socket)?.authenticated(accountOf({ ns: namespace }));
      const from: Sender = { namespace, socket };
      socket.once("disconnect", () => {
        seats.leave(namespace, socket);
        rooms.leave(socket, facts.rooms);
        rpc.disconnect(socket.id);
        terminals.cliLeft(socket);
      });
      const isOwn = async (id: string) => {
        try {
          return await isNamespaces(deeds, namespace, id);
        } catch (error) {
          log.error({ err: error }, "a method's owner could not be looked up");
          return false;
        }
      };
      const known = facts.rooms.map((room) => ("session" in room ? room.session : room.machine));
      const ids = new OwnIds(known, isOwn);
      const connection: CliConnection = { ...services, socket, from, ids, unsettled: new Set() };
      attach(connection, cliEvents);
      for (const room of facts.rooms) {
        rooms.join(socket, room);
        if ("session" in room) mirror.cliJoined(room.session, socket);
      }
    });
  }

  #acceptPages({ deeds, terminals, mirror, log }: SocketServices): void {
    const { access } = this.parts;
    const seats = new Seats(this.parts);
    const claimed = this.#pages;
    claimed.admit(async (socket) => {
      const namespace = await pageConnecting(access, socket.handshake);
      seats.take(namespace, socket);
      socket.data = { namespace };
    });
    claimed.welcome((socket) => {
      const { namespace } = socket.data as { readonly namespace: string };
      claimed.callerOf(socket)?.authenticated(accountOf({ ns: namespace }));
      socket.once("disconnect", () => {
        seats.leave(namespace, socket);
        terminals.pageLeft(socket);
        mirror.pageLeft(socket);
      });
      // A CLI in the session's room has shown that the session is its namespace's: keystrokes ask no database.
      const isOwn = (session: string) => {
        const cli = this.rooms.first({ session });
        if (cli !== undefined) return (cli.data as CliFacts).namespace === namespace;
        return deeds.sessionAbsence(namespace, session).then((absence) => absence === undefined);
      };
      attachPage({ socket, namespace, terminals, mirror, isOwn, wishes: new Set(), log });
    });
  }
}

async function isNamespaces(deeds: HubDeeds, namespace: string, id: string): Promise<boolean> {
  if ((await deeds.sessionAbsence(namespace, id)) === undefined) return true;
  return (await deeds.machineAbsence(namespace, id)) === undefined;
}

/** In the engine's own shape (hapi-socket 2). */
const FOREIGN_PAGE = (): RefusedRequest => ({
  answer: Response.json(
    { code: 4, message: "Origin not allowed" },
    { status: 403, headers: { "Access-Control-Allow-Origin": "false", Vary: "Origin" } },
  ),
  refusal: { message: "Origin not allowed" },
});
