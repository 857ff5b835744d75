// One WebSocket-speaking path behind the door: Socket.IO engines and plain WebSockets look the same to it.
import type { Peer, PeerLimits } from "./peer.ts";
import type { RequestFacts } from "./request-facts.ts";

export interface SocketLimits extends PeerLimits {
  /** Longest silence in both directions that the endpoint itself permits, in seconds; 240 when absent. */
  readonly silenceSeconds?: number;
}

/** Turns a request into a WebSocket whose events go to the endpoint that asked. */
export interface Upgrader {
  upgrade(request: Request, options: { headers?: Headers; data?: unknown }): boolean;
}

export interface SocketEndpoint {
  /** Exact pathname. */
  readonly path: string;
  /** Of a socket that has just opened. */
  readonly limits: SocketLimits;
  /** The largest message that the endpoint may come to take of a socket (`Peer.letIn`); that of its limits when absent. */
  readonly largestMessageBytes?: number;
  /** A socket is a stranger's until the endpoint calls `Peer.letIn`; else whom it upgraded it knows already. */
  readonly letsInLater?: boolean;
  /** Answers every request to the path; after a successful upgrade the answer is ignored. */
  handle(request: Request, upgrader: Upgrader, facts: RequestFacts): Promise<Response> | Response;
  open(peer: Peer): void;
  message(peer: Peer, message: string | Buffer): void;
  close(peer: Peer, code: number, reason: string): void;
  /** Everything that waited was handed to the system. */
  drain?(peer: Peer): void;
  /** A protocol ping or pong arrived: the client lives, whatever it says. */
  alive?(peer: Peer): void;
  /** Clients see the transport close, so that they reconnect. */
  shutdown(): Promise<void>;
}

/** An endpoint that several protocols share: a listener has it when it serves one of them. */
export interface SharedEndpoint extends SocketEndpoint {
  readonly protocols: ReadonlySet<string>;
}

/** Bun takes at most 960; an endpoint that permits more has to look after its sockets itself. */
export function idleSeconds(endpoints: readonly SocketEndpoint[]): number {
  const longest = Math.max(240, ...endpoints.map(({ limits }) => limits.silenceSeconds ?? 0));
  return longest > 960 ? 0 : longest;
}
