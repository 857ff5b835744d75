// The one Bun.serve. It knows paths and sockets only from what protocols hand it: exact socket paths first, then the longest path
// prefix. Stopping refuses new work, finishes what is in flight, closes sockets so that clients come back, all within a bound.
import type { Server as BunServer } from "bun";
import type { Logger } from "pino";
import type { Limits } from "../limits/limits.ts";
import { Caller } from "./caller.ts";
import type { Certificate } from "./certificate.ts";
import { type AddressRange, clientAddress, isTrusted, unmapped } from "./client-address.ts";
import { type ConnectionFigures, ConnectionWatch } from "./connection-watch.ts";
import { kernelConnections } from "./connections-linux.ts";
import { KnownPeers, keyOf } from "./known-peers.ts";
import { owed } from "./owed.ts";
import { Peer, type SocketData } from "./peer.ts";
import type { Protocol, RequestFacts } from "./protocol.ts";
import type { SocketEndpoint, Upgrader } from "./socket-endpoint.ts";
import { UnfinishedFrames } from "./unfinished-frames.ts";

export interface FrontDoorOptions {
  readonly host: string;
  readonly port: number;
  readonly protocols: readonly Protocol[];
  readonly trustedProxies: readonly AddressRange[];
  /** With it the door speaks TLS only. */
  readonly certificate?: Certificate | undefined;
  readonly limits: Limits;
  /** Connections are counted, and those of strangers bounded; without it they are not. */
  readonly connections?: ConnectionBounds;
  readonly log: Logger;
  /** Hears of every answered request. Must not throw. */
  readonly finished?: (request: Request, facts: RequestFacts, status: number, ms: number) => void;
}

export interface ConnectionBounds {
  /** Of an address from which no account has come; 0 for no bound. Asked each time. */
  readonly maxPerAddress: () => number;
  /** Further ports of this process, whose connections count too. */
  readonly otherPorts: () => readonly number[];
}

export interface FrontDoor {
  readonly port: number;
  readonly host: string;
  /** What waits for slow sockets, now. */
  queuedBytes(): number;
  /** Connections now; undefined where nobody counts them. */
  connections(): ConnectionFigures | undefined;
  /** New connections are shown this certificate; those that are open stay open. */
  renew(certificate: Certificate): Promise<void>;
  /** Resolves when nothing is open any more, at the latest after `withinMs`. */
  close(withinMs: number): Promise<void>;
}

/** Longest silence on an HTTP connection, seconds, and the original's keep-alive. Handlers that need more extend it. */
const IDLE_SECONDS = 72;
/** Bun's own cap answers with an empty 413, so it stands above ours, which answers in the protocol's shape. */
const BUN_BODY_CAP = 2 ** 31;
const MIN_PAYLOAD_CAP = 2 ** 20;
/** Above what one burst may queue: our own bound closes the socket first, so that Bun never drops a frame. */
const BUN_QUEUE_CAP = 2 ** 30;

const REOPEN_MS = 200;

/** Ids of requests: told apart across restarts, and made only when somebody asks. */
const RUN = `${crypto.randomUUID().slice(0, 6)}-`;
let requests = 0;

/** @throws the error of the operating system, such as EADDRINUSE. */
export function openFrontDoor(options: FrontDoorOptions): FrontDoor {
  const { protocols, log, limits, trustedProxies, finished = () => {} } = options;
  const endpoints = new Map<string, SocketEndpoint>();
  for (const endpoint of protocols.flatMap((protocol) => protocol.sockets)) {
    if (endpoints.has(endpoint.path)) throw new Error(`Two protocols want the sockets at ${endpoint.path}.`);
    endpoints.set(endpoint.path, endpoint);
  }
  const route = prefixRouter(protocols);
  let closing = false;
  const peers = new Set<Peer>();
  const knownPeers = new KnownPeers();
  // Above every endpoint's own limit where that is small, so that the endpoint's answer reaches the client, and not Bun's.
  const transportBytes = Math.max(
    MIN_PAYLOAD_CAP,
    ...[...endpoints.values()].map((endpoint) => endpoint.limits.maxMessageBytes),
  );
  const frames = new UnfinishedFrames({
    kernel: kernelConnections(),
    arriving: limits.arriving,
    bounds: limits.bounds,
    log,
    transportBytes: () => transportBytes,
  });
  limits.handshakes.webSocketLimit = () => frames.webSocketLimit();

  const serve = async (
    request: Request,
    facts: RequestFacts,
    bun: BunServer<SocketData>,
  ): Promise<Response> => {
    const path = pathOf(request.url);
    const endpoint = endpoints.get(path);
    const startedAt = performance.now();
    let answer: Response;
    try {
      answer = await (endpoint === undefined
        ? route(path).fetch(withHost(request), facts)
        : endpoint.handle(withHost(request), upgraderFor(endpoint, bun, facts), facts));
      // What a person can quote, and the log knows.
      if (answer.status >= 500) answer.headers.set("x-request-id", facts.id);
    } catch (error) {
      answer = unexpected(error);
    }
    if (endpoint === undefined) finished(request, facts, answer.status, performance.now() - startedAt);
    return owed(request, answer, facts, limits.strangers);
  };

  const unexpected = (error: unknown): Response => {
    log.error({ err: error }, "a request ended in an unexpected error");
    return Response.json(
      { error: "Internal Server Error", message: "An unexpected error occurred", statusCode: 500 },
      { status: 500, headers: { "access-control-allow-origin": "*" } },
    );
  };

  const listen = (port: number, certificate: Certificate | undefined): BunServer<SocketData> =>
    Bun.serve<SocketData>({
      hostname: options.host,
      port,
      ...(certificate === undefined ? {} : { tls: { cert: certificate.cert, key: certificate.key } }),
      idleTimeout: IDLE_SECONDS,
      maxRequestBodySize: BUN_BODY_CAP,
      fetch: (request, bun) => {
        const facts = factsOf(request, bun, limits, knownPeers, trustedProxies);
        return closing ? owed(request, refuse(), facts, limits.strangers) : serve(request, facts, bun);
      },
      error: unexpected,
      websocket: {
        data: {} as SocketData,
        // Liveness is the protocols' own business (Socket.IO pings, heartbeats); this only reaps what they forgot.
        idleTimeout: idleSeconds([...endpoints.values()]),
        sendPings: false,
        perMessageDeflate: false,
        maxPayloadLength: transportBytes,
        backpressureLimit: BUN_QUEUE_CAP,
        open: (socket) => {
          const peer = new Peer(socket, { log, queues: limits.queues, frames });
          socket.data.peer = peer;
          peers.add(peer);
          frames.opened(peer, socket.data.endpoint.letsInLater === true);
          socket.data.endpoint.open(peer);
        },
        message: (socket, message) => {
          const { peer, endpoint } = socket.data;
          if (peer === undefined) return;
          // Bun's limit is the largest of all endpoints'; each keeps its own.
          const bytes = typeof message === "string" ? Buffer.byteLength(message) : message.byteLength;
          peer.arrived(bytes);
          if (bytes > endpoint.limits.maxMessageBytes) peer.close(1009, "message too large");
          else endpoint.message(peer, message);
        },
        drain: (socket) => {
          const { peer, endpoint } = socket.data;
          if (peer === undefined) return;
          peer.drained();
          if (peer.queuedBytes === 0) endpoint.drain?.(peer);
        },
        ping: ({ data: { peer, endpoint } }, { byteLength }) => {
          peer?.arrived(byteLength);
          if (peer !== undefined) endpoint.alive?.(peer);
        },
        pong: ({ data: { peer, endpoint } }, { byteLength }) => {
          peer?.arrived(byteLength);
          if (peer !== undefined) endpoint.alive?.(peer);
        },
        close: (socket, code, reason) => {
          const { peer, endpoint } = socket.data;
          if (peer === undefined) return;
          peer.ended();
          peers.delete(peer);
          endpoint.close(peer, code, reason);
        },
      },
    });

  const watchConnections = ({ maxPerAddress, otherPorts }: ConnectionBounds) =>
    new ConnectionWatch({
      ...limits,
      kernel: kernelConnections(),
      log,
      maxPerAddress,
      ports: () => [port, ...otherPorts()],
      isProxy: (address) => isTrusted(address, trustedProxies),
      known: () => {
        knownPeers.sweep();
        // Sockets that are not let in yet have a bound of their own.
        const sockets = new Set<string>();
        for (const { remote } of peers)
          if (remote !== undefined) sockets.add(keyOf(remote.address, remote.port));
        return (address, from) => knownPeers.has(address, from) || sockets.has(keyOf(address, from));
      },
    });

  let server = listen(options.port, options.certificate);
  const port = server.port ?? options.port;
  /** Listen no more, but still serve the connections that they accepted. */
  const retired = new Set<BunServer<SocketData>>();

  const watch = options.connections && watchConnections(options.connections);
  watch?.start();

  return {
    port,
    host: options.host,
    connections: () => watch?.figures(),
    queuedBytes: () => {
      let total = 0;
      for (const peer of peers) total += peer.queuedBytes;
      return total;
    },
    // Bun cannot change the certificate of a listener, so another one takes its place within the same turn of the event loop.
    renew: async (certificate) => {
      const previous = server;
      retired.add(previous);
      void previous.stop(false).then(() => retired.delete(previous));
      for (let attempt = 1; !closing; attempt++) {
        try {
          server = listen(port, certificate);
          return;
        } catch (error) {
          log.error({ err: error, attempt }, "the port could not be opened again with the new certificate");
          await Bun.sleep(REOPEN_MS);
        }
      }
    },
    close: async (withinMs) => {
      closing = true;
      watch?.stop();
      limits.handshakes.close();
      const servers = [server, ...retired];
      const finished = Promise.all(servers.map((one) => one.stop(false)));
      await Promise.allSettled([...endpoints.values()].map((endpoint) => endpoint.shutdown()));
      let bound: Timer | undefined;
      await Promise.race([
        finished,
        new Promise((resolve) => {
          bound = setTimeout(resolve, withinMs);
        }),
      ]);
      clearTimeout(bound);
      await Promise.all(servers.map((one) => one.stop(true)));
      frames.stop();
    },
  };
}

/** Bun takes at most 960; an endpoint that permits more has to look after its sockets itself. */
function idleSeconds(endpoints: readonly SocketEndpoint[]): number {
  const longest = Math.max(240, ...endpoints.map(({ limits }) => limits.silenceSeconds ?? 0));
  return longest > 960 ? 0 : longest;
}

/**
 * Pathname of a request's URL, without building a URL object; doubled slashes count as one, because clients join a base that ends
 * in one. HTTP/1.0 without a Host header has no authority before it.
 */
export function pathOf(url: string): string {
  const authority = url.indexOf("://");
  const start = authority < 0 ? 0 : url.indexOf("/", authority + 3);
  if (start < 0) return "/";
  const query = url.indexOf("?", start);
  const path = query < 0 ? url.slice(start) : url.slice(start, query);
  return path.includes("//") ? path.replace(/\/{2,}/g, "/") : path;
}

function prefixRouter(protocols: readonly Protocol[]): (path: string) => Protocol {
  const entries = protocols
    .flatMap((protocol) => protocol.prefixes.map((prefix) => ({ prefix, protocol })))
    .sort((a, b) => b.prefix.length - a.prefix.length);
  const fallback = entries.at(-1);
  if (fallback === undefined) throw new Error("the front door needs a protocol");
  return (path) => {
    for (const { prefix, protocol } of entries) {
      if (prefix === "/" || path === prefix || path.startsWith(prefix.endsWith("/") ? prefix : `${prefix}/`))
        return protocol;
    }
    return fallback.protocol;
  };
}

function upgraderFor(
  endpoint: SocketEndpoint,
  bun: BunServer<SocketData>,
  { caller }: RequestFacts,
): Upgrader {
  return {
    upgrade: (request, { headers, data }) =>
      bun.upgrade(request, {
        ...(headers === undefined ? {} : { headers }),
        data: { endpoint, payload: data, remote: caller.peer, address: caller.address },
      }),
  };
}

/** HTTP/1.0, as HAProxy's health checks speak it, needs no Host header; Bun then gives a URL that is none. */
function withHost(request: Request): Request {
  return request.url.startsWith("/") ? new Request(`http://localhost${request.url}`, request) : request;
}

/** A connection that has gone. */
const NO_PEER = { address: "", port: 0 };

function factsOf(
  request: Request,
  bun: BunServer<SocketData>,
  { addresses }: Limits,
  peers: KnownPeers,
  trusted: readonly AddressRange[],
): RequestFacts {
  let id: string | undefined;
  let caller: Caller | undefined;
  return {
    get id() {
      id ??= `${RUN}${(++requests).toString(36)}`;
      return id;
    },
    route: undefined,
    get caller() {
      if (caller === undefined) {
        const { address, port } = bun.requestIP(request) ?? NO_PEER;
        const peer = { address: unmapped(address), port };
        caller = new Caller(clientAddress(address, request.headers, trusted), peer, addresses, peers);
      }
      return caller;
    },
    get clientAddress() {
      return this.caller.address;
    },
    get trustedProxy() {
      return isTrusted(this.caller.peer.address, trusted);
    },
    extendIdle: (seconds) => bun.timeout(request, seconds),
  };
}

function refuse(): Response {
  return new Response("The server is stopping. Try again in a moment.\n", {
    status: 503,
    headers: { "retry-after": "2", connection: "close", "access-control-allow-origin": "*" },
  });
}
