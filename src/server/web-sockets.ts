// The WebSockets of all listeners: Bun's events become those of the endpoint that upgraded the request, within the limits of its peer.
import type { Server as BunServer, WebSocketHandler } from "bun";
import type { Logger } from "pino";
import type { MemoryPieces } from "../limits/memory-pieces.ts";
import { EndOfTurn } from "./end-of-turn.ts";
import { keyOf } from "./known-peers.ts";
import { Peer, type PeerData } from "./peer.ts";
import type { RequestFacts } from "./request-facts.ts";
import { idleSeconds, type SocketEndpoint, type Upgrader } from "./socket-endpoint.ts";
import type { UnfinishedFrames } from "./unfinished-frames.ts";

export interface SocketData extends PeerData {
  readonly endpoint: SocketEndpoint;
  peer?: Peer;
}

const MIN_PAYLOAD_CAP = 2 ** 20;
/** Above what one burst may queue: our own bound closes the socket first, so that Bun never drops a frame. */
const BUN_QUEUE_CAP = 2 ** 30;
/** Frames of all sockets that wait for the end of a turn. */
const MAX_HELD_BACK = 4 * 1024 * 1024;

/** Bun has one limit of a message for a whole server. Above every endpoint's own where that is small, so that the endpoint's answer
 * reaches the client, and not Bun's. */
export function transportBytes(endpoints: readonly SocketEndpoint[]): number {
  return Math.max(
    MIN_PAYLOAD_CAP,
    ...endpoints.map(({ limits, largestMessageBytes }) => largestMessageBytes ?? limits.maxMessageBytes),
  );
}

export interface WebSocketsParts {
  /** Of all listeners. */
  readonly endpoints: readonly SocketEndpoint[];
  readonly frames: UnfinishedFrames;
  /** What waits for all sockets together. */
  readonly queues: MemoryPieces;
  readonly log: Logger;
}

export class WebSockets {
  readonly #peers = new Set<Peer>();
  readonly handlers: WebSocketHandler<SocketData>;
  /** Of all of them. */
  readonly turn: EndOfTurn;

  constructor({ endpoints, frames, queues, log }: WebSocketsParts) {
    const turn = new EndOfTurn(
      (error) => log.error({ err: error }, "what a turn had for a socket could not be written"),
      MAX_HELD_BACK,
    );
    this.turn = turn;
    this.handlers = {
      data: {} as SocketData,
      // Liveness is the protocols' own business (Socket.IO pings, heartbeats); this only reaps what they forgot.
      idleTimeout: idleSeconds(endpoints),
      sendPings: false,
      perMessageDeflate: false,
      maxPayloadLength: transportBytes(endpoints),
      backpressureLimit: BUN_QUEUE_CAP,
      open: (socket) => {
        const { endpoint } = socket.data;
        const peer = new Peer(socket, { log, queues, frames, turn });
        socket.data.peer = peer;
        this.#peers.add(peer);
        frames.opened(peer, endpoint.letsInLater === true);
        endpoint.open(peer);
      },
      message: (socket, message) => {
        const { peer, endpoint } = socket.data;
        if (peer === undefined) return;
        // Bun's limit is the largest of all; each peer keeps its own.
        const bytes = typeof message === "string" ? Buffer.byteLength(message) : message.byteLength;
        peer.arrived(bytes);
        if (bytes > peer.maxMessageBytes) peer.close(1009, "message too large");
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
        this.#peers.delete(peer);
        endpoint.close(peer, code, reason);
      },
    };
  }

  /** What waits for slow sockets, now. */
  queuedBytes(): number {
    let total = 0;
    for (const peer of this.#peers) total += peer.queuedBytes;
    return total;
  }

  /** The other ends of all that are open. */
  remotes(): Set<string> {
    const remotes = new Set<string>();
    for (const { remote } of this.#peers)
      if (remote !== undefined) remotes.add(keyOf(remote.address, remote.port));
    return remotes;
  }
}

export function upgraderFor(
  endpoint: SocketEndpoint,
  bun: BunServer<SocketData>,
  { caller }: RequestFacts,
): Upgrader {
  const { path, limits } = endpoint;
  return {
    upgrade: (request, { headers, data: payload }) =>
      bun.upgrade(request, {
        ...(headers === undefined ? {} : { headers }),
        data: { endpoint, path, limits, payload, remote: caller.peer, address: caller.address },
      }),
  };
}
