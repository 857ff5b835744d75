// A TCP connection written byte by byte, and WebSocket frames built by hand: what no well-behaved client would send.
import { connect, type Socket } from "node:net";

/** Of a longer stream the first and the last so many characters are kept. */
const KEEP = 32 * 1024;

export class RawConnection {
  readonly #socket: Socket;
  readonly #closed: Promise<void>;
  readonly #waiting = new Set<() => void>();
  #received = "";
  #isClosed = false;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setEncoding("latin1").on("data", (text: string) => {
      const all = this.#received + text;
      this.#received = all.length > 4 * KEEP ? all.slice(0, KEEP) + all.slice(-KEEP) : all;
      for (const look of [...this.#waiting]) look();
    });
    // A reset is one way for a server to close.
    socket.on("error", () => {});
    const ended = () => {
      this.#isClosed = true;
      for (const look of [...this.#waiting]) look();
    };
    // The server has said its last byte; our own half is still open.
    socket.once("end", ended);
    this.#closed = new Promise((resolve) =>
      socket.once("close", () => {
        ended();
        resolve();
      }),
    );
  }

  /** `from` is another address of this machine, such as 127.0.0.2: to the server, another client. */
  static async open(port: number, from?: string): Promise<RawConnection> {
    const origin = from === undefined ? {} : { localAddress: from };
    const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true, ...origin });
    await new Promise<void>((resolve, reject) => {
      socket.once("connect", resolve);
      socket.once("error", reject);
    });
    return new RawConnection(socket);
  }

  /** A connection that has become a WebSocket. */
  static async webSocket(
    port: number,
    path = "/v1/updates/?EIO=4&transport=websocket",
    from?: string,
  ): Promise<RawConnection> {
    const connection = await RawConnection.open(port, from);
    connection.write(upgradeRequest(path));
    await connection.until((received) => received.includes("\r\n\r\n"), 10_000);
    if (!connection.received.startsWith("HTTP/1.1 101"))
      throw new Error(`no WebSocket: ${connection.received}`);
    return connection;
  }

  /** What came, one character a byte; of much the beginning and the end. */
  get received(): string {
    return this.#received;
  }

  /** The server has closed its side. */
  get closed(): boolean {
    return this.#isClosed;
  }

  write(bytes: string | Uint8Array): void {
    if (!this.#socket.destroyed && this.#socket.writable) this.#socket.write(bytes);
  }

  /** Resolves when the system has taken it, or the connection is gone. */
  writeAll(bytes: string | Uint8Array): Promise<void> {
    return new Promise((resolve) => {
      if (this.#socket.destroyed || !this.#socket.writable) return resolve();
      this.#socket.once("close", resolve);
      this.#socket.write(bytes, () => {
        this.#socket.off("close", resolve);
        resolve();
      });
    });
  }

  /** Reads nothing any more: what the server sends fills its own buffers. */
  stopReading(): void {
    this.#socket.pause();
  }

  resumeReading(): void {
    this.#socket.resume();
  }

  /** Resolves with true when it fits, false when the connection closed first. @throws Error after the bound. */
  until(fits: (received: string) => boolean, boundMs: number): Promise<boolean> {
    return new Promise((resolve, reject) => {
      const settle = (work: () => void) => {
        clearTimeout(timer);
        this.#waiting.delete(look);
        work();
      };
      const look = () => {
        if (fits(this.#received)) settle(() => resolve(true));
        else if (this.#isClosed) settle(() => resolve(false));
      };
      const timer = setTimeout(
        () =>
          settle(() =>
            reject(new Error(`not received within ${boundMs} ms: ${this.#received.slice(0, 500)}`)),
          ),
        boundMs,
      );
      this.#waiting.add(look);
      look();
    });
  }

  /** Says that nothing more comes, and waits until the server has closed too. False when it does not within the bound. */
  async finish(boundMs: number): Promise<boolean> {
    this.#socket.end();
    let timer: Timer | undefined;
    const late = new Promise<false>((resolve) => {
      timer = setTimeout(() => resolve(false), boundMs);
    });
    const closed = await Promise.race([this.#closed.then(() => true as const), late]);
    clearTimeout(timer);
    this.#socket.destroy();
    return closed;
  }

  destroy(): void {
    this.#socket.destroy();
  }
}

export function upgradeRequest(path: string): string {
  return (
    `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
  );
}

export interface FrameShape {
  readonly opcode?: number;
  readonly fin?: boolean;
  /** Reserved bits, 0 to 7. */
  readonly reserved?: number;
  readonly masked?: boolean;
  /** Claims this length instead of the real one. */
  readonly claims?: bigint;
}

/** One WebSocket frame (RFC 6455, 5.2); a text frame from a client unless told otherwise. */
export function frame(payload: string | Uint8Array, shape: FrameShape = {}): Uint8Array {
  const { opcode = 1, fin = true, reserved = 0, masked = true, claims } = shape;
  const bytes = typeof payload === "string" ? Buffer.from(payload) : payload;
  const length = claims ?? BigInt(bytes.length);
  const small = length < 126n;
  const medium = !small && length < 65_536n;
  const head = Buffer.alloc(2 + (small ? 0 : medium ? 2 : 8) + (masked ? 4 : 0));
  head[0] = (fin ? 0x80 : 0) | (reserved << 4) | opcode;
  head[1] = (masked ? 0x80 : 0) | (small ? Number(length) : medium ? 126 : 127);
  if (medium) head.writeUInt16BE(Number(length), 2);
  else if (!small) head.writeBigUInt64BE(BigInt.asUintN(64, length), 2);
  // A mask of zeros is a mask: the payload stands as it is.
  return Buffer.concat([head, bytes]);
}
