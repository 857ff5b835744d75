// One WebSocket-speaking path behind the one Bun.serve: Socket.IO engines and plain WebSockets look the same to the door.
import type { Peer } from "./peer.ts";
import type { RequestFacts } from "./protocol.ts";

export interface SocketLimits {
  /** Largest inbound message in bytes; one more closes the socket with 1009. */
  readonly maxMessageBytes: number;
  /** Bytes that may wait for a slow client before it is closed. */
  readonly maxQueuedBytes: number;
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
  readonly limits: SocketLimits;
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
