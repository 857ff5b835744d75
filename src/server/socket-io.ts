// A Socket.IO server at one path, on Bun through @socket.io/bun-engine. Protocols that speak Socket.IO build theirs here, each with
// its own engine and limits, all behind the same Bun.serve.
import { Server as Engine } from "@socket.io/bun-engine";
import type { Logger } from "pino";
import { type Socket, Server as SocketIo } from "socket.io";
import type { Cluster } from "../bus/cluster.ts";
import { BodyCutShort, BodyTooLarge, readBody } from "./body.ts";
import { busAdapter } from "./bus-adapter.ts";
import type { Caller } from "./caller.ts";
import type { Peer } from "./peer.ts";
import { SocketBus } from "./socket-bus.ts";
import type { SocketEndpoint, SocketLimits, Upgrader } from "./socket-endpoint.ts";

export type EngineCors = NonNullable<Engine["opts"]["cors"]>;

const EVERY_PAGE: EngineCors = {
  origin: "*",
  methods: ["GET", "POST", "OPTIONS"],
  credentials: true,
  allowedHeaders: ["*"],
};

export interface SocketIoOptions {
  /** Wire path, with the slash at its end. */
  readonly path: string;
  readonly limits: SocketLimits;
  readonly pingIntervalMs: number;
  readonly pingTimeoutMs: number;
  /** How long a transport may stay without a Socket.IO CONNECT. */
  readonly connectTimeoutMs: number;
  /** Which web pages may connect; every one, with credentials, when absent. */
  readonly cors?: EngineCors;
  /** Broadcasts cross to the same path on the other nodes; undefined: this node is alone. */
  readonly cluster?: Cluster | undefined;
  /** With a cluster: see BusAdapterOptions. */
  readonly oneAudience?: boolean;
  readonly log: Logger;
}

export interface SocketIoRoom {
  readonly io: SocketIo;
  readonly endpoint: SocketEndpoint;
  /** Where a socket comes from. */
  readonly callerOf: CallerOf;
}

export type CallerOf = (socket: Socket) => Caller | undefined;

/** The engine's own view of a WebSocket: what it was given at the upgrade, and the peer to send with. */
type EngineSocket = Parameters<Engine["onWebSocketOpen"]>[0];
type EngineConnection = Extract<Parameters<Parameters<Engine["on"]>[1]>[0], { transport: unknown }>;
type EngineServer = Parameters<Engine["handleRequest"]>[1];

export function socketIo(options: SocketIoOptions): SocketIoRoom {
  const { path, limits, log } = options;
  const engine = new Engine({
    path,
    pingInterval: options.pingIntervalMs,
    pingTimeout: options.pingTimeoutMs,
    upgradeTimeout: 10_000,
    maxHttpBufferSize: limits.maxMessageBytes,
    cors: options.cors ?? EVERY_PAGE,
    editResponseHeaders: (headers) => headers.set("cache-control", "no-store"),
  });
  const io = new SocketIo({
    connectTimeout: options.connectTimeoutMs,
    serveClient: false,
    // Whoever makes up invite paths must not fill the memory with namespaces.
    cleanupEmptyChildNamespaces: true,
  });
  const bus = options.cluster === undefined ? undefined : new SocketBus(options.cluster, path, log);
  if (bus !== undefined) io.adapter(busAdapter({ bus, oneAudience: options.oneAudience ?? false }));
  io.bind(engine);
  const callers = new WeakMap<object, Caller>();
  /** Callers of requests that are at the engine now: it may open a connection for them. */
  const asking = new WeakMap<Request, Caller>();
  engine.on("connection", (socket, request) => {
    const caller = asking.get(request);
    if (caller !== undefined) callers.set(socket, caller);
    boundPolling(socket, limits.maxQueuedBytes, path, log);
  });

  // The engine starts a timer at each probe of an upgrade and stops only the last: one is all that an honest client sends.
  const probed = new WeakSet<Peer>();
  const probesAgain = (peer: Peer, message: string | Buffer): boolean => {
    if (message !== "2probe") return false;
    if (probed.has(peer)) return true;
    probed.add(peer);
    return false;
  };

  const endpoint: SocketEndpoint = {
    path,
    limits,
    handle: async (request, upgrader, { caller }) => {
      const bounded = await boundBody(request, limits.maxMessageBytes);
      if (bounded instanceof Response) return bounded;
      if (asksForSocketInVain(request)) return badRequest();
      asking.set(bounded, caller);
      let impossible = false;
      const noting: Upgrader = {
        upgrade: (asked, given) => {
          impossible = !upgrader.upgrade(asked, given);
          return !impossible;
        },
      };
      const answer = await engine.handleRequest(bounded, noting as EngineServer);
      // The engine calls the client's half-made upgrade its own failure, a 500.
      return impossible ? badRequest() : answer;
    },
    open: (peer) => engine.onWebSocketOpen(asEngineSocket(peer)),
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
  return { io, endpoint, callerOf: ({ conn }) => callers.get(conn) };
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

/** What waits for the next poll is bounded as a WebSocket's queue is: a client that polls no more is closed. */
function boundPolling(socket: EngineConnection, limitBytes: number, path: string, log: Logger): void {
  let queuedBytes = 0;
  socket.on("flush", () => {
    queuedBytes = 0;
  });
  socket.on("packetCreate", ({ data }) => {
    // One packet alone may be larger than the limit.
    if (queuedBytes > limitBytes) {
      const problem = "a client does not poll: its queue is full; it was closed and may reconnect";
      log.warn({ path, queuedBytes, limitBytes }, problem);
      // Not the socket's own close, which would wait for a poll.
      socket.transport.close();
      return;
    }
    queuedBytes += typeof data === "string" ? data.length : (data?.byteLength ?? 0);
  });
}

/** The engine reads polling bodies whole before it looks at their size; this reads at most the limit. */
async function boundBody(request: Request, limit: number): Promise<Request | Response> {
  if (request.method !== "POST" || request.body === null) return request;
  try {
    const body = await readBody(request, limit);
    return new Request(request.url, {
      method: "POST",
      headers: request.headers,
      body,
      signal: request.signal,
    });
  } catch (error) {
    if (!(error instanceof BodyTooLarge || error instanceof BodyCutShort)) throw error;
    const status = error instanceof BodyTooLarge ? 413 : 400;
    return new Response(null, { status, headers: { ...CORS, connection: "close" } });
  }
}

const CORS = { "access-control-allow-origin": "*", "access-control-allow-credentials": "true" };

/** A handshake for a WebSocket on a connection that does not want to become one; the engine would begin long polling. */
function asksForSocketInVain(request: Request): boolean {
  if (request.method !== "GET" || request.headers.has("upgrade")) return false;
  const query = new URLSearchParams(request.url.slice(request.url.indexOf("?") + 1));
  return query.get("transport") === "websocket" && !query.has("sid");
}

/** Code 3 of realtime contract 1.4. */
function badRequest(): Response {
  return Response.json({ code: 3, message: "Bad request" }, { status: 400, headers: CORS });
}
