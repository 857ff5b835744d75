// One path of Socket.IO: one server and one engine (@socket.io/bun-engine), whatever protocols have claimed namespaces there.
import { Server as Engine } from "@socket.io/bun-engine";
import type { Logger } from "pino";
import { type Namespace, Server as SocketIo } from "socket.io";
import type { Limits } from "../limits/limits.ts";
import { boundedParser } from "./bounded-parser.ts";
import { busAdapters } from "./bus-adapter.ts";
import type { Caller } from "./caller.ts";
import { ClaimedNamespace } from "./claimed-namespace.ts";
import { type EngineConnection, sendTogether, takeBodies } from "./engine-connection.ts";
import { EngineRequests } from "./engine-requests.ts";
import { PacketGate } from "./packet-gate.ts";
import type { Peer } from "./peer.ts";
import { boundPolling } from "./polling-queue.ts";
import { SocketBus } from "./socket-bus.ts";
import {
  agreed,
  Claims,
  largest,
  type NamespaceClaim,
  type OpenNamespace,
  smallest,
} from "./socket-claims.ts";
import type { SharedEndpoint } from "./socket-endpoint.ts";

export interface SocketIoPathParts {
  /** Of the whole server. */
  readonly limits: Limits;
  readonly log: Logger;
}

const UPGRADE_MS = 10_000;

/** The engine's own view of a WebSocket: what it was given at the upgrade, and the peer to send with. */
type EngineSocket = Parameters<Engine["onWebSocketOpen"]>[0];

export class SocketIoPath {
  readonly #claims: Claims;
  readonly #buses = new Map<string, SocketBus>();
  readonly #gates = new WeakMap<object, PacketGate>();
  readonly #callers = new WeakMap<object, Caller>();
  readonly #io: SocketIo;
  #isOpened = false;

  constructor(
    /** Wire path, with the slash at its end. */
    private readonly path: string,
    private readonly parts: SocketIoPathParts,
  ) {
    this.#claims = new Claims(path);
    this.#io = new SocketIo({
      serveClient: false,
      parser: boundedParser,
      adapter: busAdapters((namespace) => this.#buses.get(namespace)) as never,
    });
  }

  /** @throws Error with a sentence that names both, where another one has the namespace. */
  claim(claim: NamespaceClaim): ClaimedNamespace {
    this.#refuseLate(claim);
    this.#claims.add(claim);
    const { namespace: name, cluster, log } = claim;
    if (cluster !== undefined) this.#buses.set(name, new SocketBus(cluster, this.path, name, log));
    const namespace = this.#io.of(name);
    // Socket.IO made this one before anybody claimed it.
    if (cluster !== undefined && name === "/") namespace._initAdapter();
    return new ClaimedNamespace({
      namespace,
      claim,
      gateOf: (connection) => this.#gates.get(connection),
      callerOf: ({ conn }) => this.#callers.get(conn),
    });
  }

  /** @throws as `claim`. */
  claimOpen(claim: OpenNamespace): Namespace {
    this.#refuseLate(claim);
    this.#claims.addOpen(claim);
    return this.#io.of(claim.namespace);
  }

  /** All claims are known. @throws Error when every namespace is open to everybody: nothing says how much they may send. */
  open(): SharedEndpoint {
    const { path } = this;
    const { closed, protocols } = this.#claims;
    if (closed.length === 0)
      throw new Error(`${[...protocols].join(", ")}: no namespace at ${path} asks who its clients are.`);
    this.#isOpened = true;
    const all = closed.map(({ limits }) => limits);
    const wishes = agreed(closed.map(({ engine }) => engine));
    const most = largest(all);
    const engine = new Engine({
      path,
      pingInterval: wishes.pingIntervalMs,
      pingTimeout: wishes.pingTimeoutMs,
      upgradeTimeout: UPGRADE_MS,
      // What the handshake says of every message: it holds in every namespace, unless one of them wishes otherwise.
      maxHttpBufferSize: wishes.maxPayloadBytes ?? smallest(all).maxPollingBytes,
      editResponseHeaders: (headers, request) => requests.headersOf(request, headers),
    });
    const requests = new EngineRequests({
      engine,
      claims: this.#claims,
      gateOf: (connection) => this.#gates.get(connection),
      limits: this.parts.limits,
    });
    this.#io.connectTimeout(wishes.connectTimeoutMs);
    // Before Socket.IO's own, so that the gate stands when it hears of the connection.
    engine.on("connection", (socket, request) => {
      const connection = socket as unknown as EngineConnection;
      takeBodies(engine, connection, most.maxPollingBytes);
      this.#opened(connection, requests.opening(request), wishes.connectTimeoutMs);
    });
    this.#io.bind(engine);
    return {
      path,
      protocols,
      limits: smallest(all),
      largestMessageBytes: most.maxMessageBytes,
      letsInLater: true,
      handle: (request, upgrader, facts) => requests.handle(request, upgrader, facts),
      ...this.#webSockets(engine, requests),
      shutdown: () => this.#shutdown(),
    };
  }

  #refuseLate({ protocol, namespace }: { readonly protocol: string; readonly namespace: string }): void {
    if (this.#isOpened)
      throw new Error(
        `${protocol} claims the namespace ${namespace} at ${this.path} after the door was opened.`,
      );
  }

  #opened(
    connection: EngineConnection,
    { facts: { caller }, claims, refusals, place }: ReturnType<EngineRequests["opening"]>,
    connectTimeoutMs: number,
  ): void {
    const { limits, log } = this.parts;
    const { path } = this;
    this.#callers.set(connection, caller);
    const gate = new PacketGate({
      connection,
      place,
      address: caller.address,
      claims,
      refusals,
      isHidden: (name) => !claims.isOpen(name) && this.#io._nsps.has(name),
      connectTimeoutMs,
      limits,
    });
    this.#gates.set(connection, gate);
    boundPolling({ connection, gate, queues: limits.queues, path, log });
  }

  #webSockets(engine: Engine, requests: EngineRequests): Pick<SharedEndpoint, "open" | "message" | "close"> {
    const { log } = this.parts;
    // The engine starts a timer at each probe of an upgrade and stops only the last: one is all that an honest client sends.
    const probed = new WeakSet<Peer>();
    const probesAgain = (peer: Peer, message: string | Buffer): boolean => {
      if (message !== "2probe") return false;
      if (probed.has(peer)) return true;
      probed.add(peer);
      return false;
    };
    return {
      open: (peer) => {
        const socket = asEngineSocket(peer);
        sendTogether(socket.data.transport, peer);
        const connection = requests.takenOver(socket.data.transport);
        engine.onWebSocketOpen(socket);
        if (connection !== undefined) this.#gates.get(connection)?.carriedBy(peer);
      },
      message: (peer, message) => {
        if (probesAgain(peer, message)) peer.terminate();
        else guarded(peer, log, () => engine.onWebSocketMessage(asEngineSocket(peer), message));
      },
      close: (peer, code, reason) =>
        guarded(peer, log, () => engine.onWebSocketClose(asEngineSocket(peer), code, reason)),
    };
  }

  /** io.close(), never socket.disconnect(): clients see "transport close" and come back. */
  async #shutdown(): Promise<void> {
    for (const { closing, protocol } of this.#claims.closed) {
      try {
        closing?.();
      } catch (error) {
        this.parts.log.error(
          { err: error, protocol },
          "a protocol failed while its sockets were being closed",
        );
      }
    }
    await this.#io.close();
    await Promise.all([...this.#buses.values()].map((bus) => bus.close()));
  }
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
