// A front door in this process with a listener that has TLS terms of its own, whose pages tell what handlers know of the client, and
// whose WebSocket sends back what it gets.
import type { Logger } from "pino";
import type { Limits } from "../../src/limits/limits.ts";
import { createLog } from "../../src/observability/log.ts";
import { type FrontDoor, openFrontDoor } from "../../src/server/front-door.ts";
import type { ListenerTls } from "../../src/server/listener-door.ts";
import type { Peer } from "../../src/server/peer.ts";
import type { RequestFacts } from "../../src/server/request-facts.ts";
import type { HttpClaim, Served } from "../../src/server/served.ts";
import type { SocketEndpoint } from "../../src/server/socket-endpoint.ts";
import { testLimits } from "./limits.ts";

export interface TlsListenerOptions {
  readonly tls: ListenerTls;
  readonly http?: readonly HttpClaim[];
  readonly endpoint?: Partial<SocketEndpoint>;
  readonly limits?: Limits;
  readonly log?: Logger;
  readonly maxPerAddress?: number;
  readonly port?: number;
}

export interface TlsListener {
  readonly door: FrontDoor;
  /** Of the listener with TLS, and of a plain one beside it. */
  readonly port: number;
  readonly plainPort: number;
  readonly limits: Limits;
  readonly peers: Set<Peer>;
}

const MIB = 1024 * 1024;

export function openTlsListener(options: TlsListenerOptions): TlsListener {
  const { tls, http = [], endpoint = {}, limits = testLimits(), log = createLog("silent") } = options;
  const peers = new Set<Peer>();
  const sockets: SocketEndpoint = {
    path: "/socket",
    limits: { maxMessageBytes: 4 * MIB, maxQueuedBytes: 16 * MIB },
    handle: (_request, upgrader, facts) =>
      upgrader.upgrade(_request, { data: factsTold(facts) })
        ? new Response()
        : new Response("no upgrade", { status: 400 }),
    open: (peer) => peers.add(peer),
    message: (peer, message) => {
      if (message === "who") peer.send(JSON.stringify(peer.data));
      else peer.send(typeof message === "string" ? message : new Uint8Array(message));
    },
    close: (peer) => peers.delete(peer),
    shutdown: async () => {
      for (const peer of peers) peer.close(1001);
    },
    ...endpoint,
  };
  const pages: Served = {
    name: "pages",
    http: [
      ...http,
      { prefixes: ["/"], fetch: (request, facts) => Response.json(told(request, facts)) },
      { paths: ["/mtls"], fetch: (_request, facts) => protectedPage(facts) },
    ],
    sockets: [sockets],
  };
  const door = openFrontDoor({
    host: "127.0.0.1",
    listeners: [
      { port: 0, served: [{ ...pages, sockets: [] }] },
      { port: options.port ?? 0, served: [pages], tls },
    ],
    trustedProxies: [],
    limits,
    log,
    connections: { maxPerAddress: () => options.maxPerAddress ?? 0, otherPorts: () => [] },
  });
  const [plainPort = 0, port = 0] = door.ports;
  return { door, port, plainPort, limits, peers };
}

const factsTold = ({ certificate, isSecure, caller }: RequestFacts) => ({
  certificate,
  isSecure,
  peer: caller.peer,
  client: caller.address,
});

const told = (request: Request, facts: RequestFacts) => ({ ...factsTold(facts), url: request.url });

/** As a protocol answers a call that has to be proved by a certificate. */
function protectedPage({ certificate }: RequestFacts): Response {
  return certificate?.isAllowed === true
    ? Response.json({ principal: certificate.uris[0] ?? certificate.dnsNames[0] ?? certificate.commonName })
    : Response.json({ code: 3000 }, { status: 401 });
}
