// One WebSocket as an endpoint sees it. Nothing is dropped in silence: what a slow client has not taken waits in a bounded queue,
// and a client that does not read is closed with a log line while nobody else waits.
import type { ServerWebSocket } from "bun";
import type { Logger } from "pino";
import type { SocketEndpoint } from "./socket-endpoint.ts";

export interface SocketData {
  readonly endpoint: SocketEndpoint;
  /** What the endpoint attached at the upgrade. */
  readonly payload: unknown;
  peer?: Peer;
}

export class Peer {
  #blocked = false;
  #gone = false;

  constructor(
    private readonly socket: ServerWebSocket<SocketData>,
    private readonly log: Logger,
  ) {}

  get data(): unknown {
    return this.socket.data.payload;
  }

  /** As WebSocket's own: 1 is open. */
  get readyState(): number {
    return this.#gone ? 3 : this.socket.readyState;
  }

  get remoteAddress(): string {
    return this.socket.remoteAddress;
  }

  get queuedBytes(): number {
    return this.socket.getBufferedAmount();
  }

  /** Sends or queues one frame; closes the socket when the queue is past its limit. One frame alone may be larger than the limit. */
  send(frame: string | Uint8Array<ArrayBuffer>): void {
    if (this.#gone) return;
    if (this.#blocked && this.queuedBytes > this.socket.data.endpoint.limits.maxQueuedBytes) {
      this.#giveUp("a client does not read: its queue is full");
      return;
    }
    const sent = this.socket.send(frame);
    if (sent === -1) this.#blocked = true;
    // 0 means that Bun dropped the frame: on an open socket a loss that the client must notice, so that it catches up.
    else if (sent === 0 && frame.length > 0 && this.socket.readyState === 1)
      this.#giveUp("a frame could not be queued");
  }

  drained(): void {
    this.#blocked = false;
  }

  close(code?: number, reason?: string): void {
    if (!this.#gone) this.socket.close(code, reason);
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
