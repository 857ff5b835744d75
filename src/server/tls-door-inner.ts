// A connection from a TLS door to the listener behind it, with Bun's own socket: the streams of `node:net` cost more for each piece. What
// the system does not take at once waits here, and is said to wait.
import { connect, type Socket } from "bun";

export interface InnerEvents {
  /** Whether it may stay; it is the first that is heard, and after false nothing more is. */
  readonly opened: (localPort: number) => boolean;
  readonly data: (piece: Buffer) => void;
  /** Everything that waited was taken. */
  readonly drained: () => void;
  /** The other side says no more. */
  readonly ended: () => void;
  /** Once, also where it was never open. */
  readonly closed: (error?: Error) => void;
}

const INSIDE = "127.0.0.1";

export class InnerConnection {
  #socket: Socket | undefined;
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #isOver = false;
  /** The end follows what waits. */
  #isEnding = false;
  #isPaused = false;

  constructor(
    port: number,
    private readonly events: InnerEvents,
  ) {
    connect({
      hostname: INSIDE,
      port,
      allowHalfOpen: true,
      socket: {
        open: (socket) => this.#opened(socket),
        data: (_socket, piece) => events.data(piece),
        drain: () => this.#drain(),
        end: () => events.ended(),
        error: (_socket, error) => this.#closed(error),
        connectError: (_socket, error) => this.#closed(error),
        close: () => this.#closed(),
      },
    }).catch((error: Error) => this.#closed(error));
  }

  get heldBytes(): number {
    return this.#waitingBytes;
  }

  /** @returns false when a part of it waits; `drained` tells when it does no more. */
  write(piece: Buffer): boolean {
    if (this.#isOver || this.#isEnding) return true;
    if (this.#waitingBytes > 0) {
      this.#wait(piece);
      return false;
    }
    const taken = Math.max(0, this.#socket?.write(piece) ?? 0);
    if (taken === piece.length) return true;
    this.#wait(piece.subarray(taken));
    return false;
  }

  /** After what waits. */
  end(): void {
    this.#isEnding = true;
    if (this.#waitingBytes === 0) this.#socket?.shutdown();
  }

  pause(): void {
    if (this.#isPaused || this.#isOver) return;
    this.#isPaused = true;
    this.#socket?.pause();
  }

  resume(): void {
    if (!this.#isPaused || this.#isOver) return;
    this.#isPaused = false;
    this.#socket?.resume();
  }

  /** At once. */
  destroy(): void {
    this.#socket?.terminate();
    this.#closed();
  }

  #opened(socket: Socket): void {
    this.#socket = socket;
    socket.setNoDelay(true);
    if (!this.#isOver && this.events.opened(socket.localPort)) return;
    this.#isOver = true;
    socket.terminate();
  }

  #wait(piece: Buffer): void {
    this.#waiting.push(piece);
    this.#waitingBytes += piece.length;
  }

  #drain(): void {
    if (this.#waitingBytes === 0) return;
    for (;;) {
      const [first] = this.#waiting;
      if (first === undefined) break;
      const taken = Math.max(0, this.#socket?.write(first) ?? 0);
      this.#waitingBytes -= taken;
      if (taken < first.length) {
        this.#waiting[0] = first.subarray(taken);
        return;
      }
      this.#waiting.shift();
    }
    if (this.#isEnding) this.#socket?.shutdown();
    else this.events.drained();
  }

  #closed(error?: Error): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.events.closed(error);
  }
}
