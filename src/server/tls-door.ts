// TLS in front of a listener that speaks none: Bun.serve shows a handler nothing of a client's certificate, `node:tls` does. Each
// connection is verified, then taken by its ALPN protocol, or carried byte by byte over loopback to a Bun.serve, which finds out who is
// there by the port of that connection (`clientAt`). Nobody else reaches its handlers. Terms are renewed while the port and all
// connections stay open.
import { createServer, type Server, type TLSSocket } from "node:tls";
import type { Logger } from "pino";
import type { Bounds } from "../limits/bounds.ts";
import type { MemoryPieces } from "../limits/memory-pieces.ts";
import { codeOf } from "../storage/errors.ts";
import { unmapped } from "./client-address.ts";
import { clientCertificate } from "./tls-door-certificate.ts";
import { type TlsClient, TlsClients } from "./tls-door-clients.ts";
import { TlsHandshakes } from "./tls-door-handshakes.ts";
import { TlsLink } from "./tls-door-link.ts";
import { secureOptions, type TlsTerms } from "./tls-door-terms.ts";

/** Takes a verified connection that chose its protocol; the socket is its own from then on. */
export type TakesConnection = (socket: TLSSocket, client: TlsClient) => void;

export interface TlsDoorParts {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly terms: TlsTerms;
  /** Of the listener inside, on 127.0.0.1. */
  readonly innerPort: number;
  /** By ALPN name, such as `h2`. Everything else is HTTP/1.1, for the listener inside. */
  readonly protocols?: ReadonlyMap<string, TakesConnection> | undefined;
  /** Open at one time, handshakes included. */
  readonly maxConnections: number;
  /** Handshakes at one time; 256 when absent. */
  readonly maxHandshakes?: number;
  /** For a handshake; 10 s when absent. */
  readonly handshakeMs?: number;
  readonly waiting: MemoryPieces;
  /** Its own when absent. */
  readonly clients?: TlsClients;
  readonly bounds: Pick<Bounds, "refused">;
  readonly log: Logger;
}

export interface TlsDoorFigures {
  /** Handshakes included. */
  readonly connections: number;
  readonly handshakes: number;
  /** Connections of which something waits for a side that does not read. */
  readonly blocked: number;
}

const HTTP = "http/1.1";
const OUT_OF_DESCRIPTORS: ReadonlySet<string> = new Set(["EMFILE", "ENFILE"]);
const MAX_HANDSHAKES = 256;
const HANDSHAKE_MS = 10_000;
/** A new connection inside whose port rests is dialled again so often. */
const DIALS = 5;
/** How often bytes that wait are counted again. */
const COUNT_MS = 250;

export class TlsDoor {
  readonly port: number;
  readonly #server: Server;
  readonly #clients: TlsClients;
  readonly #open = new Set<TLSSocket>();
  readonly #handshakes: TlsHandshakes<TLSSocket>;
  readonly #blocked = new Set<TlsLink>();
  #terms: TlsTerms;
  #counting: Timer | undefined;
  #isClosing = false;
  #closed: (() => void)[] = [];

  /** Listens from now on. @throws Error with a sentence for terms that cannot hold, or the operating system's, such as EADDRINUSE. */
  constructor(private readonly parts: TlsDoorParts) {
    const {
      terms,
      protocols,
      host,
      port,
      maxHandshakes = MAX_HANDSHAKES,
      handshakeMs = HANDSHAKE_MS,
    } = parts;
    this.#terms = terms;
    this.#clients = parts.clients ?? new TlsClients();
    this.#handshakes = new TlsHandshakes({ most: maxHandshakes, withinMs: handshakeMs });
    this.#server = createServer({
      ...secureOptions(terms),
      ...asking(terms),
      ALPNProtocols: [...(protocols?.keys() ?? []), HTTP],
      allowHalfOpen: true,
      noDelay: true,
      // Ours cuts the connection, too.
      handshakeTimeout: handshakeMs * 2,
    });
    this.#server.on("connection", (socket) => this.#accepted(socket as TLSSocket));
    this.#server.on("secureConnection", (socket) => this.#secured(socket));
    this.#server.on("tlsClientError", (error, socket) => this.#failed(error, socket));
    this.port = listen(this.#server, host, port);
    this.#server.on("error", (error) => parts.log.error({ err: error }, "the port for TLS has a problem"));
  }

  /** Who is behind a connection to the listener inside; undefined for one that did not come through the door. */
  clientAt(port: number): TlsClient | undefined {
    return this.#clients.of(port);
  }

  figures(): TlsDoorFigures {
    return {
      connections: this.#open.size,
      handshakes: this.#handshakes.size,
      blocked: this.#blocked.size,
    };
  }

  /**
   * New handshakes have these terms; open connections keep theirs, and sessions of before are not resumed. Whether certificates of
   * clients are asked for stays as it was.
   * @returns false when they are the same. @throws Error with a sentence: then nothing has changed.
   */
  renew(terms: TlsTerms): boolean {
    if (Bun.deepEquals(terms, this.#terms)) return false;
    if (terms.clientCertificates !== this.#terms.clientCertificates)
      throw new Error("Whether client certificates are asked for changes with the next start only.");
    const options = secureOptions(terms);
    this.#server.setSecureContext(options);
    this.#terms = terms;
    return true;
  }

  /** Accepts nothing more; handshakes end. Resolves when no connection is open any more. */
  stop(): Promise<void> {
    if (!this.#isClosing) {
      this.#isClosing = true;
      this.#server.close();
      this.#handshakes.stop();
    }
    if (this.#open.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#closed.push(resolve));
  }

  /** Cuts every connection. */
  async cut(): Promise<void> {
    const stopped = this.stop();
    for (const socket of this.#open) socket.destroy();
    await stopped;
  }

  #accepted(socket: TLSSocket): void {
    socket.on("error", (error) =>
      this.parts.log.debug({ problem: error.message }, "a TLS connection failed"),
    );
    if (this.#isClosing || !this.#hasRoom()) {
      socket.destroy();
      return;
    }
    this.#open.add(socket);
    socket.once("close", () => this.#gone(socket));
    if (this.#handshakes.isFull) this.#makeWay("tls-handshakes");
    this.#handshakes.begin(socket, socket.remoteAddress ?? "", () => socket.destroy());
  }

  /** Whoever has not finished its handshake goes before a newcomer is refused. */
  #hasRoom(): boolean {
    const { maxConnections, bounds } = this.parts;
    if (this.#open.size < maxConnections) return true;
    if (this.#makeWay("tls-connections")) return true;
    bounds.refused("tls-connections", { limit: maxConnections });
    return false;
  }

  #makeWay(bound: "tls-connections" | "tls-handshakes"): boolean {
    const address = this.#handshakes.makeWay();
    if (address !== undefined) this.parts.bounds.refused(bound, { address });
    return address !== undefined;
  }

  #gone(socket: TLSSocket): void {
    this.#handshakes.over(socket);
    this.#open.delete(socket);
    if (!this.#isClosing || this.#open.size > 0) return;
    clearInterval(this.#counting);
    for (const resolve of this.#closed.splice(0)) resolve();
  }

  #failed(error: Error, socket: TLSSocket): void {
    this.parts.log.debug({ problem: error.message, address: socket.remoteAddress }, "a TLS handshake failed");
    socket.destroy();
  }

  #secured(socket: TLSSocket): void {
    // False for one that had to go meanwhile.
    if (!this.#handshakes.over(socket) || this.#isClosing) {
      socket.destroy();
      return;
    }
    const client = this.#clientOf(socket);
    if (client === undefined) {
      socket.destroy();
      return;
    }
    const { alpnProtocol } = socket;
    const taker = alpnProtocol === false || alpnProtocol === null ? undefined : this.#taker(alpnProtocol);
    if (taker === undefined) this.#dial(socket, client, DIALS);
    else taker(socket, client);
  }

  #taker(protocol: string): TakesConnection | undefined {
    return this.parts.protocols?.get(protocol);
  }

  /** Undefined for a client that must not come in. */
  #clientOf(socket: TLSSocket): TlsClient | undefined {
    const { remoteAddress = "", remotePort = 0 } = socket;
    const peer = { address: unmapped(remoteAddress), port: remotePort, localPort: this.port };
    const client = { peer, certificate: undefined, version: socket.getProtocol() ?? "" };
    if (this.#terms.clientCertificates === "none") return client;
    const shown = socket.getPeerCertificate();
    const isNone = shown === undefined || shown === null || Object.keys(shown).length === 0;
    if (!socket.authorized) {
      // Where they are optional the library lets a stranger's certificate through.
      if (isNone && this.#terms.clientCertificates === "optional") return client;
      this.parts.log.debug({ address: peer.address }, "a client certificate is not trusted");
      return undefined;
    }
    try {
      const certificate = clientCertificate(shown, this.#terms.allowed);
      // A session that is resumed outlives it: the library looks at the time in a whole handshake only.
      return certificate.validUntil < Date.now() ? undefined : { ...client, certificate };
    } catch (error) {
      this.parts.log.warn({ err: error, address: peer.address }, "a client certificate cannot be read");
      return undefined;
    }
  }

  #dial(outer: TLSSocket, client: TlsClient, dials: number): void {
    const { innerPort, waiting, bounds, log } = this.parts;
    new TlsLink({
      outer,
      innerPort,
      waiting,
      entered: (port) => this.#clients.enter(port, client),
      left: (port, isRefused, error) => {
        if (port !== undefined) this.#clients.leave(port);
        else if (isRefused && dials > 1) this.#dial(outer, client, dials - 1);
        else if (isRefused) outer.destroy();
        else if (OUT_OF_DESCRIPTORS.has(codeOf(error))) bounds.refused("descriptors");
        else if (!outer.destroyed)
          log.error({ err: error }, "a connection could not be handed to the listener behind TLS");
      },
      blocked: (link, isBlocked) => this.#block(link, isBlocked),
    });
  }

  #block(link: TlsLink, isBlocked: boolean): void {
    if (isBlocked) this.#blocked.add(link);
    else this.#blocked.delete(link);
    if (this.#blocked.size === 0) {
      clearInterval(this.#counting);
      this.#counting = undefined;
    } else this.#counting ??= this.#countEvery(COUNT_MS);
  }

  #countEvery(ms: number): Timer {
    return setInterval(() => {
      for (const link of [...this.#blocked]) link.count();
    }, ms).unref();
  }
}

const asking = ({ clientCertificates }: TlsTerms) => ({
  requestCert: clientCertificates !== "none",
  rejectUnauthorized: clientCertificates === "required",
});

/** Bun listens within the call, and tells a failure later only: then the system is asked once more for its error. */
function listen(server: Server, host: string, port: number): number {
  server.listen({ host, port });
  const address = server.address();
  if (typeof address === "object" && address !== null) return address.port;
  server.once("error", () => {});
  Bun.listen({ hostname: host, port, socket: { data: () => {} } }).stop(true);
  throw new Error(`Port ${port} could not be opened for TLS.`);
}
