// One WebSocket as an endpoint sees it. Nothing is dropped in silence: what a slow client has not taken waits in a bounded queue,
// and a client that does not read is closed with a log line while nobody else waits.
import type { ServerWebSocket } from "bun";
import type { Logger } from "pino";
import type { MemoryPieces } from "../limits/memory-pieces.ts";
import type { RemoteEnd } from "./connections-linux.ts";
import type { Sender, UnfinishedFrames } from "./unfinished-frames.ts";

/** What one WebSocket may do; its endpoint may change it when it learns who is there. */
export interface PeerLimits {
  /** Largest inbound message in bytes; one more closes the socket with 1009. */
  readonly maxMessageBytes: number;
  /** Bytes that may wait for a slow client before it is closed. */
  readonly maxQueuedBytes: number;
}

export interface PeerData {
  /** Of its endpoint. */
  readonly path: string;
  /** At its opening. */
  readonly limits: PeerLimits;
  /** What the endpoint attached at the upgrade. */
  readonly payload: unknown;
  /** The other end of the TCP connection, as the kernel knows it: a proxy's, where there is one. */
  readonly remote: RemoteEnd | undefined;
  /** Address of the client, also behind a trusted proxy. */
  readonly address: string;
}

export interface PeerParts {
  readonly log: Logger;
  /** What waits for all sockets together. */
  readonly queues: MemoryPieces;
  readonly frames: UnfinishedFrames;
}

/** `waiting`: Bun keeps it until the socket drains. `lost`: the socket is gone. */
export type SendResult = "written" | "waiting" | "lost";

export class Peer implements Sender {
  arrivedBytes = 0;
  arrivedFrames = 0;
  #limits: PeerLimits;
  #blocked = false;
  #gone = false;
  /** Set while a close waits for the queue to empty. */
  #closing: { readonly finish: () => void; readonly timer: Timer } | undefined;

  constructor(
    private readonly socket: ServerWebSocket<PeerData>,
    private readonly parts: PeerParts,
  ) {
    this.#limits = socket.data.limits;
  }

  get data(): unknown {
    return this.socket.data.payload;
  }

  /** As WebSocket's own: 1 is open. */
  get readyState(): number {
    return this.#gone ? 3 : this.#closing === undefined ? this.socket.readyState : 2;
  }

  get remote(): RemoteEnd | undefined {
    return this.socket.data.remote;
  }

  get address(): string {
    return this.socket.data.address;
  }

  get maxMessageBytes(): number {
    return this.#limits.maxMessageBytes;
  }

  get remoteAddress(): string {
    return this.socket.remoteAddress;
  }

  get queuedBytes(): number {
    return this.socket.getBufferedAmount();
  }

  /** Sends or queues one frame; closes the socket when the queue is past its limit. One frame alone may be larger than the limit. */
  send(frame: string | Uint8Array<ArrayBuffer>): SendResult {
    if (this.#gone || this.#closing !== undefined) return "lost";
    if (this.#blocked && this.queuedBytes > this.#limits.maxQueuedBytes) {
      this.#giveUp("a client does not read: its queue is full");
      return "lost";
    }
    const sent = this.socket.send(frame);
    if (sent === -1) {
      this.#blocked = true;
      this.#noteQueue();
      return this.#gone ? "lost" : "waiting";
    }
    if (sent > 0 || frame.length === 0) return "written";
    // 0 means that Bun dropped the frame: on an open socket a loss that the client must notice, so that it catches up.
    if (this.socket.readyState === 1) this.#giveUp("a frame could not be queued");
    return "lost";
  }

  /** Frames that are sent within the work become few writes to the system. Whether it took them all, `queuedBytes` tells then. */
  cork<T>(work: () => T): T {
    return this.#gone ? work() : this.socket.cork(() => work());
  }

  ping(): void {
    if (!this.#gone && this.#closing === undefined) this.socket.ping();
  }

  /** A whole message came; the door calls this. */
  arrived(bytes: number): void {
    this.arrivedBytes += bytes;
    this.arrivedFrames++;
  }

  /** Its endpoint knows who it is: it may send large messages from now on. `limits` hold instead of those before. */
  letIn(limits: PeerLimits = this.#limits): void {
    this.#limits = limits;
    this.parts.frames.letIn(this);
  }

  /** It has left where it was let in. */
  leftOut(limits: PeerLimits = this.#limits): void {
    this.#limits = limits;
    this.parts.frames.leftOut(this);
  }

  drained(): void {
    this.#noteQueue();
    if (this.queuedBytes > 0) return;
    this.#blocked = false;
    this.#closing?.finish();
  }

  close(code?: number, reason?: string): void {
    if (!this.#gone) this.socket.close(code, reason);
  }

  /**
   * Closes when the client has taken what waits for it, so that it learns the reason; drops the connection when it has not within
   * `withinMs`. Bun's own close would hold a connection that nobody reads for seconds, and cannot be hurried.
   */
  closeWithin(withinMs: number, code: number, reason: string): void {
    if (this.#gone || this.#closing !== undefined) return;
    if (this.queuedBytes === 0) {
      this.close(code, reason);
      return;
    }
    const finish = () => {
      clearTimeout(this.#closing?.timer);
      this.close(code, reason);
    };
    this.#closing = { finish, timer: setTimeout(() => this.terminate(), withinMs) };
  }

  /** The socket is closed; the door calls this. */
  ended(): void {
    this.#gone = true;
    clearTimeout(this.#closing?.timer);
    this.parts.queues.forget(this);
    this.parts.frames.closed(this);
  }

  /** Drops the connection without a closing handshake. */
  terminate(): void {
    this.#gone = true;
    this.parts.queues.forget(this);
    this.socket.terminate();
  }

  #noteQueue(): void {
    this.parts.queues.set(this, this.queuedBytes, () => this.#giveUp("all queues together are full"));
  }

  #giveUp(problem: string): void {
    const { path } = this.socket.data;
    const limitBytes = this.#limits.maxQueuedBytes;
    this.parts.log.warn(
      { path, address: this.remoteAddress, queuedBytes: this.queuedBytes, limitBytes },
      `${problem}; it was closed and may reconnect`,
    );
    this.terminate();
  }
}
