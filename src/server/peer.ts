// One WebSocket as an endpoint sees it. Nothing is dropped in silence: what a slow client has not taken waits in a bounded queue,
// and a client that does not read is closed with a log line while nobody else waits.
import type { ServerWebSocket } from "bun";
import type { Logger } from "pino";
import type { SocketEndpoint } from "./socket-endpoint.ts";

export interface SocketData {
  readonly endpoint: SocketEndpoint;
  /** What the endpoint attached at the upgrade. */
  readonly payload: unknown;
  /** The other end of the TCP connection, as the kernel knows it: a proxy's, where there is one. */
  readonly remote: { readonly address: string; readonly port: number } | undefined;
  peer?: Peer;
}

/** `waiting`: Bun keeps it until the socket drains. `lost`: the socket is gone. */
export type SendResult = "written" | "waiting" | "lost";

export class Peer {
  #blocked = false;
  #gone = false;
  /** Set while a close waits for the queue to empty. */
  #closing: { readonly finish: () => void; readonly timer: Timer } | undefined;

  constructor(
    private readonly socket: ServerWebSocket<SocketData>,
    private readonly log: Logger,
  ) {}

  get data(): unknown {
    return this.socket.data.payload;
  }

  /** As WebSocket's own: 1 is open. */
  get readyState(): number {
    return this.#gone ? 3 : this.#closing === undefined ? this.socket.readyState : 2;
  }

  get remote(): SocketData["remote"] {
    return this.socket.data.remote;
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
    if (this.#blocked && this.queuedBytes > this.socket.data.endpoint.limits.maxQueuedBytes) {
      this.#giveUp("a client does not read: its queue is full");
      return "lost";
    }
    const sent = this.socket.send(frame);
    if (sent === -1) {
      this.#blocked = true;
      return "waiting";
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

  drained(): void {
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
  }

  /** Drops the connection without a closing handshake. */
  terminate(): void {
    this.#gone = true;
    this.socket.terminate();
  }

  #giveUp(problem: string): void {
    const { path, limits } = this.socket.data.endpoint;
    this.log.warn(
      { path, address: this.remoteAddress, queuedBytes: this.queuedBytes, limitBytes: limits.maxQueuedBytes },
      `${problem}; it was closed and may reconnect`,
    );
    this.terminate();
  }
}
