// A Socket.IO server at one path, on Bun through @socket.io/bun-engine. Protocols that speak Socket.IO build theirs here, each with
// its own engine and limits, all behind the same Bun.serve.
import { Server as Engine } from "@socket.io/bun-engine";
import type { Logger } from "pino";
import { type Socket, Server as SocketIo } from "socket.io";
import type { Cluster } from "../bus/cluster.ts";
import type { Place } from "../limits/handshakes.ts";
import type { Limits } from "../limits/limits.ts";
import { boundedParser } from "./bounded-parser.ts";
import { busAdapter } from "./bus-adapter.ts";
import type { Caller } from "./caller.ts";
import { connectionOf, type EngineConnection } from "./engine-connection.ts";
import { PacketGate } from "./packet-gate.ts";
import type { Peer } from "./peer.ts";
import { PollingBodyRefused, pollingBody } from "./polling-body.ts";
import { SocketBus } from "./socket-bus.ts";
import type { SocketEndpoint, SocketLimits, Upgrader } from "./socket-endpoint.ts";

export type EngineCors = NonNullable<Engine["opts"]["cors"]>;

const EVERY_PAGE: EngineCors = {
  origin: "*",
  methods: ["GET", "POST", "OPTIONS"],
  credentials: true,
  allowedHeaders: ["*"],
};

/** Of a polling body, and what the handshake says of every message: the original's figure. */
const MAX_POLLING_BYTES = 1_000_000;
/** Packets in one polling body, of a client that was let in and of one that was not. */
const MAX_PACKETS = 10_000;
const MAX_STRANGER_PACKETS = 32;
/** What a client that finds no place is told to wait. */
const COME_AGAIN_SECONDS = 1;

export interface SocketIoOptions {
  /** Wire path, with the slash at its end. */
  readonly path: string;
  readonly limits: SocketLimits;
  readonly pingIntervalMs: number;
  readonly pingTimeoutMs: number;
  /** Largest polling body of a client that is not let in yet. */
  readonly maxStrangerBodyBytes: () => number;
  /** How long a transport may stay without a Socket.IO CONNECT. */
  readonly connectTimeoutMs: number;
  /** Which web pages may connect; every one, with credentials, when absent. */
  readonly cors?: EngineCors;
  /** Other names of the namespace `/`: a client that asks for one is in `/` and hears of it under that name. */
  readonly isMain?: (namespace: string) => boolean;
  /** The acknowledgement with which an event is refused before it is read; undefined for one without. */
  readonly failureOf?: (event: string) => unknown;
  /** Broadcasts cross to the same path on the other nodes; undefined: this node is alone. */
  readonly cluster?: Cluster | undefined;
  /** Of the whole server. */
  readonly shared: Limits;
  readonly log: Logger;
}

export interface SocketIoServer {
  readonly io: SocketIo;
  readonly endpoint: SocketEndpoint;
  /** Where a socket comes from. */
  readonly callerOf: CallerOf;
  /** Ends a socket's connection because of a message that is too large: code 1009 on a WebSocket. */
  readonly endTooLarge: (socket: Socket) => void;
}

export type CallerOf = (socket: Socket) => Caller | undefined;

/** The engine's own view of a WebSocket: what it was given at the upgrade, and the peer to send with. */
type EngineSocket = Parameters<Engine["onWebSocketOpen"]>[0];
type EngineServer = Parameters<Engine["handleRequest"]>[1];

/** A request that is at the engine now: it may open a connection for it. */
interface Asking {
  readonly caller: Caller;
  /** Until a connection holds it. */
  place: Place | undefined;
}

export function socketIo(options: SocketIoOptions): SocketIoServer {
  const { path, limits, shared, log } = options;
  const engine = new Engine({
    path,
    pingInterval: options.pingIntervalMs,
    pingTimeout: options.pingTimeoutMs,
    upgradeTimeout: 10_000,
    maxHttpBufferSize: MAX_POLLING_BYTES,
    cors: options.cors ?? EVERY_PAGE,
    editResponseHeaders: (headers) => headers.set("cache-control", "no-store"),
  });
  const io = new SocketIo({
    connectTimeout: options.connectTimeoutMs,
    serveClient: false,
    parser: boundedParser,
  });
  const bus = options.cluster === undefined ? undefined : new SocketBus(options.cluster, path, log);
  if (bus !== undefined) io.adapter(busAdapter(bus));
  const callers = new WeakMap<object, Caller>();
  const gates = new WeakMap<object, PacketGate>();
  const asking = new WeakMap<Request, Asking>();
  /** Connections that a WebSocket is about to take over, by the engine's transport. */
  const takeovers = new WeakMap<object, EngineConnection>();
  // Before Socket.IO's own, so that the gate stands when it hears of the connection.
  engine.on("connection", (socket, request) => {
    const connection = socket as unknown as EngineConnection;
    const asked = asking.get(request);
    if (asked?.place === undefined) throw new Error("the engine opened a connection that has no place");
    const { caller, place } = asked;
    asked.place = undefined;
    callers.set(connection, caller);
    const gate = new PacketGate({
      connection,
      place,
      address: caller.address,
      isMain: options.isMain ?? (() => false),
      failureOf: options.failureOf ?? (() => undefined),
      connectTimeoutMs: options.connectTimeoutMs,
      limits: shared,
    });
    gates.set(connection, gate);
    boundPolling(connection, gate, { limitBytes: limits.maxQueuedBytes, path, log, shared });
  });
  io.bind(engine);

  // The engine starts a timer at each probe of an upgrade and stops only the last: one is all that an honest client sends.
  const probed = new WeakSet<Peer>();
  const probesAgain = (peer: Peer, message: string | Buffer): boolean => {
    if (message !== "2probe") return false;
    if (probed.has(peer)) return true;
    probed.add(peer);
    return false;
  };

  const atEngine = async (request: Request, upgrader: Upgrader): Promise<Response> => {
    let impossible = false;
    const noting: Upgrader = {
      upgrade: (asked, given) => {
        impossible = !upgrader.upgrade(asked, given);
        return !impossible;
      },
    };
    const answer = await engine.handleRequest(request, noting as EngineServer);
    // The engine calls the client's half-made upgrade its own failure, a 500.
    return impossible ? badRequest() : answer;
  };

  /** A request that would open a connection. */
  const handshake = async (request: Request, upgrader: Upgrader, caller: Caller): Promise<Response> => {
    const isWebSocket = request.headers.has("upgrade");
    const newcomer = { address: caller.address, isWebSocket, signal: request.signal };
    const place = await shared.handshakes.enter(newcomer);
    if (place === undefined) return comeAgain();
    const asked: Asking = { caller, place };
    asking.set(request, asked);
    try {
      return await atEngine(request, upgrader);
    } finally {
      asked.place?.leave();
    }
  };

  /** A WebSocket for a connection that began with polling. */
  const takeover = (
    request: Request,
    upgrader: Upgrader,
    connection: EngineConnection,
  ): Promise<Response> => {
    const blind = shared.handshakes.webSocketLimit?.() !== undefined;
    // A second one would never be closed by the engine; where bytes cannot be counted, sockets of strangers are.
    if (connection.upgradeState !== "not_upgraded" || (blind && gates.get(connection)?.isInside !== true))
      return Promise.resolve(badRequest());
    return atEngine(request, {
      upgrade: (asked, given) => {
        const { transport } = given.data as { readonly transport: object };
        takeovers.set(transport, connection);
        return upgrader.upgrade(asked, given);
      },
    });
  };

  const post = async (
    request: Request,
    upgrader: Upgrader,
    connection: EngineConnection,
  ): Promise<Response> => {
    const gate = gates.get(connection);
    if (gate === undefined) return badRequest();
    // One at a time, as every client does.
    if (gate.posting !== undefined) {
      gate.drop();
      return refusedBody(400);
    }
    const ended = new AbortController();
    gate.posting = () => ended.abort();
    try {
      const bounds = gate.isInside
        ? { maxBytes: MAX_POLLING_BYTES, maxPackets: MAX_PACKETS }
        : { maxBytes: options.maxStrangerBodyBytes(), maxPackets: MAX_STRANGER_PACKETS };
      const body = await pollingBody(request, { ...bounds, signal: ended.signal }, shared.arriving);
      const { url, headers, signal } = request;
      return await atEngine(new Request(url, { method: "POST", headers, body, signal }), upgrader);
    } catch (error) {
      if (!(error instanceof PollingBodyRefused)) throw error;
      // The rest of it will not be understood: what it began with is lost.
      gate.drop();
      return refusedBody(error.status);
    } finally {
      gate.posting = undefined;
    }
  };

  const endpoint: SocketEndpoint = {
    path,
    limits,
    letsInLater: true,
    handle: async (request, upgrader, { caller }) => {
      const query = new URLSearchParams(request.url.slice(request.url.indexOf("?") + 1));
      const sid = query.get("sid");
      const isWebSocket = request.headers.has("upgrade");
      if (request.method === "GET" && !sid) {
        // A WebSocket on a connection that does not want to become one; the engine would begin long polling.
        if (query.get("transport") === "websocket" && !isWebSocket) return badRequest();
        if (opensConnection(query)) return handshake(request, upgrader, caller);
      }
      const connection = sid ? connectionOf(engine, sid) : undefined;
      // What is refused by its address line alone is not read.
      if (connection === undefined || connection.transport.name === "websocket")
        return atEngine(request, upgrader);
      if (isWebSocket) return takeover(request, upgrader, connection);
      return request.method === "POST" ? post(request, upgrader, connection) : atEngine(request, upgrader);
    },
    open: (peer) => {
      const socket = asEngineSocket(peer);
      const connection = takeovers.get(socket.data.transport);
      engine.onWebSocketOpen(socket);
      if (connection !== undefined) gates.get(connection)?.carriedBy(peer);
    },
    message: (peer, message) => {
      if (probesAgain(peer, message)) peer.terminate();
      else guarded(peer, log, () => engine.onWebSocketMessage(asEngineSocket(peer), message));
    },
    close: (peer, code, reason) =>
      guarded(peer, log, () => engine.onWebSocketClose(asEngineSocket(peer), code, reason)),
    // io.close(), never socket.disconnect(): clients see "transport close" and come back (realtime contract 14).
    shutdown: async () => {
      await io.close();
      await bus?.close();
    },
  };
  return {
    io,
    endpoint,
    callerOf: ({ conn }) => callers.get(conn),
    endTooLarge: ({ conn }) => gates.get(conn)?.end(1009, "message too large"),
  };
}

/** Peer has `send`, `close`, `readyState` and `data`: all that the engine touches. */
function asEngineSocket(peer: Peer): EngineSocket {
  return peer as unknown as EngineSocket;
}

/** Whatever a client sends costs at most its own connection. */
function guarded(peer: Peer, log: Logger, work: () => void): void {
  try {
    work();
  } catch (error) {
    log.warn(
      { err: error, address: peer.remoteAddress },
      "a socket message could not be handled; its socket was closed",
    );
    peer.terminate();
  }
}

interface PollingQueue {
  readonly limitBytes: number;
  readonly path: string;
  readonly log: Logger;
  readonly shared: Limits;
}

/** What waits for the next poll is bounded as a WebSocket's queue is: a client that polls no more is closed. */
function boundPolling(
  connection: EngineConnection,
  gate: PacketGate,
  { limitBytes, path, log, shared: { queues } }: PollingQueue,
): void {
  let queuedBytes = 0;
  const forget = () => {
    queuedBytes = 0;
    queues.forget(connection);
  };
  const giveUp = (problem: string) => {
    log.warn({ path, queuedBytes, limitBytes }, `${problem}; it was closed and may reconnect`);
    forget();
    gate.drop();
  };
  connection.on("flush", () => {
    if (queuedBytes > 0) forget();
  });
  connection.once("close", forget);
  connection.on("packetCreate", ({ data }) => {
    // A WebSocket looks after its own.
    if (connection.transport.name !== "polling") return;
    // One packet alone may be larger than the limit.
    if (queuedBytes > limitBytes) return giveUp("a client does not poll: its queue is full");
    queuedBytes += typeof data === "string" ? data.length : (data?.byteLength ?? 0);
    if (queuedBytes > 0) queues.set(connection, queuedBytes, () => giveUp("all queues together are full"));
  });
}

const CORS = { "access-control-allow-origin": "*", "access-control-allow-credentials": "true" };

/** What the engine refuses is none. */
function opensConnection(query: URLSearchParams): boolean {
  const transport = query.get("transport");
  return query.get("EIO") === "4" && (transport === "polling" || transport === "websocket");
}

/** Code 3 of realtime contract 1.4. */
function badRequest(): Response {
  return Response.json({ code: 3, message: "Bad request" }, { status: 400, headers: CORS });
}

function refusedBody(status: number): Response {
  return new Response(null, { status, headers: { ...CORS, connection: "close" } });
}

function comeAgain(): Response {
  return new Response("Too many sockets wait to be let in. Try again in a moment.\n", {
    status: 503,
    headers: { ...CORS, "retry-after": `${COME_AGAIN_SECONDS}`, connection: "close" },
  });
}
