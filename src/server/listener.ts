// One port of the door: what is served there, under which certificate. All listeners of a door share its limits.
import type { Server as BunServer } from "bun";
import type { Logger } from "pino";
import type { Limits } from "../limits/limits.ts";
import type { MemoryPieces } from "../limits/memory-pieces.ts";
import { Caller } from "./caller.ts";
import type { Certificate } from "./certificate.ts";
import { type AddressRange, clientAddress, isTrusted, unmapped } from "./client-address.ts";
import { httpRoutes, pathOf } from "./http-routes.ts";
import type { KnownPeers } from "./known-peers.ts";
import { ListenerDoor, type ListenerTls } from "./listener-door.ts";
import { owed } from "./owed.ts";
import type { RequestFacts } from "./request-facts.ts";
import type { Fetch, Served } from "./served.ts";
import type { SharedEndpoint, SocketEndpoint } from "./socket-endpoint.ts";
import type { TlsClient } from "./tls-door-clients.ts";
import { type SocketData, upgraderFor, type WebSockets } from "./web-sockets.ts";

export interface ListenerOptions {
  /** 0 takes a free one. */
  readonly port: number;
  /** The door's own when absent. */
  readonly host?: string | undefined;
  readonly served: readonly Served[];
  /** Speaks TLS on its own terms, whatever the door's certificate, and tells handlers who the client is. */
  readonly tls?: ListenerTls | undefined;
}

/** What all listeners of a door have in common. */
export interface ListenerParts {
  readonly host: string;
  readonly sockets: WebSockets;
  readonly limits: Limits;
  /** What lies in TLS doors for those who do not read. */
  readonly waiting: MemoryPieces;
  readonly knownPeers: KnownPeers;
  readonly trustedProxies: readonly AddressRange[];
  /** The door refuses new work. */
  readonly isClosing: () => boolean;
  readonly finished: (request: Request, facts: RequestFacts, status: number, ms: number) => void;
  readonly log: Logger;
}

/** Which paths a listener answers. Built, and its collisions found, before a port is opened. */
export interface Routes {
  readonly served: ReadonlySet<string>;
  readonly endpoints: ReadonlyMap<string, SocketEndpoint>;
  readonly http: (path: string) => Fetch | undefined;
}

/** @throws Error with a sentence that names both, where two want the same path. */
export function routesOf(served: readonly Served[], shared: readonly SharedEndpoint[]): Routes {
  const names = new Set(served.map(({ name }) => name));
  const own = served.flatMap(({ name, sockets }) => sockets.map((endpoint) => ({ name, endpoint })));
  const here = shared.flatMap((endpoint) => {
    const protocols = [...endpoint.protocols].filter((name) => names.has(name));
    return protocols.length === 0 ? [] : [{ name: protocols.join(", "), endpoint }];
  });
  const endpoints = new Map<string, { readonly name: string; readonly endpoint: SocketEndpoint }>();
  for (const one of [...own, ...here]) {
    const { path } = one.endpoint;
    const other = endpoints.get(path);
    if (other !== undefined)
      throw new Error(`Both ${other.name} and ${one.name} want the sockets at ${path}.`);
    endpoints.set(path, one);
  }
  return {
    served: names,
    endpoints: new Map([...endpoints].map(([path, { endpoint }]) => [path, endpoint])),
    http: httpRoutes(served),
  };
}

/** Longest silence on an HTTP connection, seconds, and the original's keep-alive. Handlers that need more extend it. */
const IDLE_SECONDS = 72;
/** Bun's own cap answers with an empty 413, so it stands above ours, which answers in the protocol's shape. */
const BUN_BODY_CAP = 2 ** 31;
const REOPEN_MS = 200;
/** Where a listener behind a TLS door listens. */
const INSIDE = "127.0.0.1";

/** Ids of requests: told apart across restarts, and made only when somebody asks. */
const RUN = `${crypto.randomUUID().slice(0, 6)}-`;
let requests = 0;

export interface ListenerPlan {
  readonly port: number;
  readonly host?: string | undefined;
  readonly routes: Routes;
  /** Of a listener without terms of its own. */
  readonly certificate: Certificate | undefined;
  readonly tls?: ListenerTls | undefined;
}

export class Listener {
  readonly port: number;
  #server: BunServer<SocketData>;
  /** What clients connect to, when it speaks TLS on its own terms. */
  readonly tls: ListenerDoor | undefined;
  /** Listen no more, but still serve the connections that they accepted. */
  readonly #retired = new Set<BunServer<SocketData>>();

  /** Listens from now on. @throws the error of the operating system, such as EADDRINUSE, or a sentence about terms of TLS. */
  constructor(
    private readonly plan: ListenerPlan,
    private readonly parts: ListenerParts,
  ) {
    const { port, certificate, tls, host = parts.host } = plan;
    if (tls === undefined) {
      this.#server = this.#listen(host, port, certificate);
      this.port = this.#server.port ?? port;
      return;
    }
    this.#server = this.#listen(INSIDE, 0, undefined);
    try {
      this.tls = new ListenerDoor(tls, { ...parts, host, port, innerPort: this.#server.port ?? 0 });
    } catch (error) {
      void this.#server.stop(true);
      throw error;
    }
    this.port = this.tls.port;
  }

  /** Bun cannot change the certificate of a listener, so another one takes its place within the same turn of the event loop. */
  async renew(certificate: Certificate): Promise<void> {
    // A door has its own terms, and renews them without another listener.
    if (this.tls !== undefined) return;
    const previous = this.#server;
    this.#retired.add(previous);
    void previous.stop(false).then(() => this.#retired.delete(previous));
    for (let attempt = 1; !this.parts.isClosing(); attempt++) {
      try {
        this.#server = this.#listen(this.plan.host ?? this.parts.host, this.port, certificate);
        return;
      } catch (error) {
        this.parts.log.error(
          { err: error, attempt, port: this.port },
          "the port could not be opened again with the new certificate",
        );
        await Bun.sleep(REOPEN_MS);
      }
    }
  }

  /** Accepts nothing more. Resolves when nothing is open any more; at once when `abruptly`. */
  async stop(abruptly: boolean): Promise<void> {
    const isShut = this.tls?.stop();
    await Promise.all([this.#server, ...this.#retired].map((server) => server.stop(abruptly)));
    if (abruptly) await this.tls?.cut();
    await isShut;
  }

  #listen(host: string, port: number, certificate: Certificate | undefined): BunServer<SocketData> {
    const { sockets, limits, isClosing } = this.parts;
    return Bun.serve<SocketData>({
      hostname: host,
      port,
      ...(certificate === undefined ? {} : { tls: { cert: certificate.cert, key: certificate.key } }),
      idleTimeout: IDLE_SECONDS,
      maxRequestBodySize: BUN_BODY_CAP,
      fetch: (request, bun) => {
        const client = this.tls?.clientAt(bun.requestIP(request)?.port ?? 0);
        if (this.tls !== undefined && client === undefined) return aroundTheDoor();
        const facts = this.#factsOf(request, bun, client);
        return isClosing()
          ? owed(request, refuse(), facts, limits.strangers)
          : this.#serve(request, facts, bun);
      },
      error: (error) => this.#unexpected(error),
      websocket: sockets.handlers,
    });
  }

  /** At once where the handler answers at once. */
  #serve(request: Request, facts: RequestFacts, bun: BunServer<SocketData>): Response | Promise<Response> {
    const { http, endpoints } = this.plan.routes;
    const path = pathOf(request.url);
    const endpoint = endpoints.get(path);
    const startedAt = endpoint === undefined ? performance.now() : undefined;
    let answer: Response | Promise<Response>;
    try {
      answer =
        endpoint === undefined
          ? (http(path) ?? nothingThere)(withHost(request), facts)
          : endpoint.handle(withHost(request), upgraderFor(endpoint, bun, facts), facts);
    } catch (error) {
      answer = this.#unexpected(error);
    }
    if (!(answer instanceof Promise)) return this.#answered(request, facts, answer, startedAt);
    return answer.then(
      (late) => this.#answered(request, facts, late, startedAt),
      (error: unknown) => this.#answered(request, facts, this.#unexpected(error), startedAt),
    );
  }

  /** `startedAt`: of a request whose figures are kept. */
  #answered(
    request: Request,
    facts: RequestFacts,
    given: Response,
    startedAt: number | undefined,
  ): Response | Promise<Response> {
    let answer = given;
    try {
      // What a person can quote, and the log knows.
      if (answer.status >= 500) answer.headers.set("x-request-id", facts.id);
    } catch (error) {
      answer = this.#unexpected(error);
    }
    if (startedAt !== undefined)
      this.parts.finished(request, facts, answer.status, performance.now() - startedAt);
    // What the answer reveals was announced before it: the frames that say so leave first.
    this.parts.sockets.turn.flush();
    return owed(request, answer, facts, this.parts.limits.strangers);
  }

  #factsOf(request: Request, bun: BunServer<SocketData>, tls: TlsClient | undefined): RequestFacts {
    const { limits, knownPeers, trustedProxies: trusted } = this.parts;
    const localPort = this.port;
    const isSecure = tls !== undefined || this.plan.certificate !== undefined;
    let id: string | undefined;
    let caller: Caller | undefined;
    return {
      served: this.plan.routes.served,
      route: undefined,
      isSecure,
      certificate: tls?.certificate,
      get id() {
        id ??= `${RUN}${(++requests).toString(36)}`;
        return id;
      },
      get caller() {
        if (caller === undefined) {
          const peer = tls?.peer ?? peerOf(bun.requestIP(request) ?? NO_PEER, localPort);
          const client = clientAddress(peer.address, request.headers, trusted);
          caller = new Caller(client, peer, limits.addresses, knownPeers);
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

  #unexpected(error: unknown): Response {
    this.parts.log.error({ err: error }, "a request ended in an unexpected error");
    return Response.json(
      { error: "Internal Server Error", message: "An unexpected error occurred", statusCode: 500 },
      { status: 500, headers: { "access-control-allow-origin": "*" } },
    );
  }
}

/** HTTP/1.0, as HAProxy's health checks speak it, needs no Host header; Bun then gives a URL that is none. */
function withHost(request: Request): Request {
  return request.url.startsWith("/") ? new Request(`http://localhost${request.url}`, request) : request;
}

const peerOf = (
  { address, port }: { readonly address: string; readonly port: number },
  localPort: number,
) => ({
  address: unmapped(address),
  port,
  localPort,
});

/** For whoever reaches the listener behind a TLS door by another way. */
const aroundTheDoor = (): Response => new Response("Forbidden\n", { status: 403 });

/** A connection that has gone. */
const NO_PEER = { address: "", port: 0 };

function refuse(): Response {
  return new Response("The server is stopping. Try again in a moment.\n", {
    status: 503,
    headers: { "retry-after": "2", connection: "close", "access-control-allow-origin": "*" },
  });
}

/** At a listener without a front page. */
const nothingThere = (): Response => new Response("Not found\n", { status: 404 });
