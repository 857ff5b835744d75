// The HTTP side of one Socket.IO path: who may open a connection, what a polling body may weigh, which WebSocket may take a connection
// over, and what web pages are told, before the engine sees a request.
import type { Server as Engine } from "@socket.io/bun-engine";
import type { Place } from "../limits/handshakes.ts";
import type { Limits } from "../limits/limits.ts";
import { connectionOf, type EngineConnection } from "./engine-connection.ts";
import type { PacketGate } from "./packet-gate.ts";
import { PollingBodyRefused, pollingBody } from "./polling-body.ts";
import type { RequestFacts } from "./request-facts.ts";
import { NO_REFUSALS, refusalsOf } from "./request-refusals.ts";
import type { Claims, Refusals, ServedClaims } from "./socket-claims.ts";
import { setCors } from "./socket-cors.ts";
import type { Upgrader } from "./socket-endpoint.ts";

/** Packets in one polling body, of a client that was let in and of one that was not. */
const MAX_PACKETS = 10_000;
const MAX_STRANGER_PACKETS = 32;
/** What a client that finds no place is told to wait. */
const COME_AGAIN_SECONDS = 1;

type EngineServer = Parameters<Engine["handleRequest"]>[1];

export interface EngineRequestsParts {
  /** Its `editResponseHeaders` calls `headersOf`. */
  readonly engine: Engine;
  readonly claims: Claims;
  readonly gateOf: (connection: EngineConnection) => PacketGate | undefined;
  readonly limits: Limits;
}

/** A request on its way, with what is known of it. */
interface Asked {
  readonly request: Request;
  readonly upgrader: Upgrader;
  readonly facts: RequestFacts;
  readonly claims: ServedClaims;
  readonly refusals: Refusals;
}

/** What a request that opens a connection brings along. */
export interface Opening {
  readonly facts: RequestFacts;
  readonly claims: ServedClaims;
  readonly refusals: Refusals;
  /** Until a connection holds it. */
  place: Place | undefined;
}

export class EngineRequests {
  readonly #openings = new WeakMap<Request, Opening>();
  readonly #asked = new WeakMap<Request, Asked>();
  /** Connections that a WebSocket is about to take over, by the engine's transport. */
  readonly #takeovers = new WeakMap<object, EngineConnection>();
  readonly #served = new WeakMap<ReadonlySet<string>, ServedClaims>();

  constructor(private readonly parts: EngineRequestsParts) {}

  async handle(request: Request, upgrader: Upgrader, facts: RequestFacts): Promise<Response> {
    const query = new URLSearchParams(request.url.slice(request.url.indexOf("?") + 1));
    const sid = query.get("sid");
    const connection = sid ? connectionOf(this.parts.engine, sid) : undefined;
    const gate = connection && this.parts.gateOf(connection);
    const claims = gate?.claims ?? this.#claimsAt(facts.served);
    const refusals = claims.lookAtRequests ? await refusalsOf(request, facts, claims, gate) : NO_REFUSALS;
    if (refusals instanceof Response) return refusals;
    const asked: Asked = { request, upgrader, facts, claims, refusals };
    const isWebSocket = request.headers.has("upgrade");
    if (request.method === "GET" && !sid) {
      // A WebSocket on a connection that does not want to become one; the engine would begin long polling.
      if (query.get("transport") === "websocket" && !isWebSocket) return badRequest();
      if (opensConnection(query)) return this.#handshake(asked);
    }
    // What is refused by its address line alone is not read.
    if (connection === undefined || connection.transport.name === "websocket") return this.#atEngine(asked);
    if (isWebSocket) return this.#takeover(asked, connection);
    return request.method === "POST" ? this.#post(asked, gate) : this.#atEngine(asked);
  }

  /** For every answer of the engine. */
  headersOf(request: Request, headers: Headers): void {
    const asked = this.#asked.get(request);
    if (asked !== undefined) cors(headers, asked);
    headers.set("cache-control", "no-store");
  }

  /** The engine has opened a connection: whose it is. */
  opening(request: Request): Opening & { readonly place: Place } {
    const opening = this.#openings.get(request);
    const place = opening?.place;
    if (opening === undefined || place === undefined)
      throw new Error("the engine opened a connection that has no place");
    opening.place = undefined;
    return { ...opening, place };
  }

  /** The connection that the WebSocket with this transport is to take over. */
  takenOver(transport: object): EngineConnection | undefined {
    return this.#takeovers.get(transport);
  }

  #claimsAt(served: ReadonlySet<string>): ServedClaims {
    const known = this.#served.get(served);
    if (known !== undefined) return known;
    const claims = this.parts.claims.servedAt(served);
    this.#served.set(served, claims);
    return claims;
  }

  async #atEngine(asked: Asked): Promise<Response> {
    const { request, upgrader } = asked;
    if (request.method === "OPTIONS") return preflight(asked);
    this.#asked.set(request, asked);
    let impossible = false;
    const noting: Upgrader = {
      upgrade: (upgraded, given) => {
        impossible = !upgrader.upgrade(upgraded, given);
        return !impossible;
      },
    };
    const answer = await this.parts.engine.handleRequest(request, noting as EngineServer);
    // The engine calls the client's half-made upgrade its own failure, a 500.
    return impossible ? badRequest() : answer;
  }

  /** A request that would open a connection. */
  async #handshake(asked: Asked): Promise<Response> {
    const { request, facts } = asked;
    const isWebSocket = request.headers.has("upgrade");
    const newcomer = { address: facts.caller.address, isWebSocket, signal: request.signal };
    const place = await this.parts.limits.handshakes.enter(newcomer);
    if (place === undefined) return comeAgain();
    const opening: Opening = { facts, claims: asked.claims, refusals: asked.refusals, place };
    this.#openings.set(request, opening);
    try {
      return await this.#atEngine(asked);
    } finally {
      opening.place?.leave();
    }
  }

  /** A WebSocket for a connection that began with polling. */
  #takeover(asked: Asked, connection: EngineConnection): Promise<Response> {
    const { limits, gateOf } = this.parts;
    const blind = limits.handshakes.webSocketLimit?.() !== undefined;
    // A second one would never be closed by the engine; where bytes cannot be counted, sockets of strangers are.
    if (connection.upgradeState !== "not_upgraded" || (blind && gateOf(connection)?.isInside !== true))
      return Promise.resolve(badRequest());
    const upgrader: Upgrader = {
      upgrade: (upgraded, given) => {
        const { transport } = given.data as { readonly transport: object };
        this.#takeovers.set(transport, connection);
        return asked.upgrader.upgrade(upgraded, given);
      },
    };
    return this.#atEngine({ ...asked, upgrader });
  }

  async #post(asked: Asked, gate: PacketGate | undefined): Promise<Response> {
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
        ? { maxBytes: gate.limits.maxPollingBytes, maxPackets: MAX_PACKETS }
        : { maxBytes: gate.claims.maxStrangerBodyBytes(), maxPackets: MAX_STRANGER_PACKETS };
      const { request } = asked;
      const body = await pollingBody(
        request,
        { ...bounds, signal: ended.signal },
        this.parts.limits.arriving,
      );
      const { url, headers, signal } = request;
      return await this.#atEngine({
        ...asked,
        request: new Request(url, { method: "POST", headers, body, signal }),
      });
    } catch (error) {
      if (!(error instanceof PollingBodyRefused)) throw error;
      // The rest of it will not be understood: what it began with is lost.
      gate.drop();
      return refusedBody(error.status);
    } finally {
      gate.posting = undefined;
    }
  }
}

function cors(headers: Headers, { claims, request, facts }: Asked): void {
  setCors(
    headers,
    claims.closed.map((claim) => claim.cors),
    request,
    facts,
  );
}

function preflight(asked: Asked): Response {
  const headers = new Headers();
  cors(headers, asked);
  return new Response(null, { status: 204, headers });
}

const CORS = { "access-control-allow-origin": "*", "access-control-allow-credentials": "true" };

/** What the engine refuses is none. */
function opensConnection(query: URLSearchParams): boolean {
  const transport = query.get("transport");
  return query.get("EIO") === "4" && (transport === "polling" || transport === "websocket");
}

/** The engine's own words. */
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
