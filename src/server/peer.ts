// One WebSocket as an endpoint sees it. Nothing is dropped in silence: what a slow client has not taken waits in a bounded queue,
// and a client that does not read is closed with a log line while nobody else waits.
import type { ServerWebSocket } from "bun";
import type { Logger } from "pino";
import type { MemoryPieces } from "../limits/memory-pieces.ts";
import type { RemoteEnd } from "./connections-linux.ts";
import type { EndOfTurn, Flushable } from "./end-of-turn.ts";
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
  /** When frames that were posted are written. */
  readonly turn: EndOfTurn;
}

/** Of one socket, held back for the end of the turn. A larger frame gains nothing from company, and would be copied for it. */
const MAX_TOGETHER = 64 * 1024;
const ALONE = 16 * 1024;

/** `waiting`: Bun keeps it until the socket drains. `lost`: the socket is gone. */
export type SendResult = "written" | "waiting" | "lost";

export class Peer implements Sender, Flushable {
  arrivedBytes = 0;
  arrivedFrames = 0;
  #limits: PeerLimits;
  #blocked = false;
  /** Of a frame that alone is larger than the queue may be, while it is taken: what is small may wait behind it. */
  #oversizedBytes = 0;
  #gone = false;
  /** Posted in this turn; nothing while the client is behind. */
  #held: string[] = [];
  #heldBytes = 0;
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

  /** Of the other end of the connection; Bun's own word for it would be the TLS door's, where there is one. */
  get remoteAddress(): string {
    return this.socket.data.remote?.address ?? this.socket.remoteAddress;
  }

  get queuedBytes(): number {
    return this.#heldBytes + this.socket.getBufferedAmount();
  }

  /**
   * Sends one frame at the end of the turn, in one write with the others of the turn, and before anything that is sent or closed
   * here meanwhile. To a client that is behind it is sent at once: its queue is bounded frame by frame.
   */
  post(frame: string): void {
    const bytes = frame.length;
    if (this.#blocked || bytes > ALONE) {
      this.send(frame);
      return;
    }
    if (this.#gone || this.#closing !== undefined) return;
    if (this.#held.length === 0) this.parts.turn.add(this);
    this.#held.push(frame);
    this.#heldBytes += bytes;
    this.parts.turn.grew(bytes);
    if (this.#heldBytes >= MAX_TOGETHER) this.#writeHeld();
  }

  /** The turn has ended, for what was posted so far. */
  flush(): void {
    const held = this.#held;
    const [first] = held;
    if (first === undefined) return;
    this.#held = [];
    this.#heldBytes = 0;
    if (this.#gone) return;
    if (held.length === 1) {
      this.#write(first);
      return;
    }
    this.socket.cork(() => {
      for (const frame of held) if (this.#write(frame) === "lost") break;
    });
    // Only after the cork does it show whether the system took them all.
    if (this.#gone || this.socket.getBufferedAmount() === 0) return;
    this.#blocked = true;
    this.#noteQueue();
  }

  /** Sends or queues one frame; closes the socket when the queue is past its limit. One frame alone may be larger than the limit,
   * and a ping behind it does not close a client that is taking it. */
  send(frame: string | Uint8Array<ArrayBuffer>): SendResult {
    this.#writeHeld();
    return this.#write(frame);
  }

  /** Before the end of the turn, which keeps no count of it any more. */
  #writeHeld(): void {
    if (this.#heldBytes > 0) this.parts.turn.grew(-this.#heldBytes);
    this.flush();
  }

  #write(frame: string | Uint8Array<ArrayBuffer>): SendResult {
    if (this.#gone || this.#closing !== undefined) return "lost";
    const { maxQueuedBytes } = this.#limits;
    const isOversized = frame.length > maxQueuedBytes;
    const allowedBytes = maxQueuedBytes + (isOversized ? 0 : this.#oversizedBytes);
    if (this.#blocked && this.queuedBytes > allowedBytes) {
      this.#giveUp("a client does not read: its queue is full");
      return "lost";
    }
    const sent = this.socket.send(frame);
    if (sent === -1) {
      this.#blocked = true;
      if (isOversized) this.#oversizedBytes = frame.length;
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
    this.#writeHeld();
    if (!this.#gone && this.#closing === undefined) this.socket.ping();
  }

  /** A whole message came; the door calls this. */
  arrived(bytes: number): void {
    this.arrivedBytes += bytes;
    this.arrivedFrames++;
    this.parts.frames.handed(this, bytes);
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
    if (this.socket.getBufferedAmount() <= this.#limits.maxQueuedBytes) this.#oversizedBytes = 0;
    if (this.socket.getBufferedAmount() > 0) return;
    this.#blocked = false;
    this.#closing?.finish();
  }

  close(code?: number, reason?: string): void {
    this.#writeHeld();
    if (!this.#gone) this.socket.close(code, reason);
  }

  /**
   * Closes when the client has taken what waits for it, so that it learns the reason; drops the connection when it has not within
   * `withinMs`. Bun's own close would hold a connection that nobody reads for seconds, and cannot be hurried.
   */
  closeWithin(withinMs: number, code: number, reason: string): void {
    this.#writeHeld();
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
    this.#writeHeld();
    this.#gone = true;
    this.parts.queues.forget(this);
    this.socket.terminate();
  }

  #noteQueue(): void {
    this.parts.queues.set(this, this.socket.getBufferedAmount(), () =>
      this.#giveUp("all queues together are full"),
    );
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
