// A client of the frames hub in a test: a real WebSocket that keeps everything it heard, and a raw TCP peer that does only what the
// test tells it to.
import { connect, type Socket } from "node:net";

export interface Ending {
  readonly code: number;
  readonly reason: string;
}

export class FramesClient {
  /** Text frames as strings, binary ones as bytes, in order. */
  readonly frames: (string | Uint8Array)[] = [];
  readonly closed: Promise<Ending>;
  ending: Ending | undefined;
  readonly #socket: WebSocket;
  #wake = () => {};

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onmessage = ({ data }: MessageEvent<string | ArrayBuffer>) => {
      this.frames.push(typeof data === "string" ? data : new Uint8Array(data));
      this.#wake();
    };
    this.closed = new Promise((resolve) => {
      socket.onclose = ({ code, reason }) => {
        this.ending = { code, reason };
        this.#wake();
        resolve(this.ending);
      };
    });
  }

  /** @throws Error when the upgrade is refused. */
  static async connect(
    url: string,
    query: Record<string, string> = {},
    headers: Record<string, string> = {},
  ) {
    const address = `${url.replace(/^http/, "ws")}/ws?${new URLSearchParams(query)}`;
    const socket = new WebSocket(address, { headers });
    const client = new FramesClient(socket);
    await new Promise<void>((resolve, reject) => {
      socket.onopen = () => resolve();
      socket.onerror = () => reject(new Error("the WebSocket was refused"));
    });
    socket.onerror = null;
    return client;
  }

  /** Messages as objects; frames that are no JSON are left out. */
  // biome-ignore lint/suspicious/noExplicitAny: what comes from the wire is looked at field by field
  get messages(): any[] {
    return this.frames.flatMap((frame) => {
      try {
        return [JSON.parse(String(frame))];
      } catch {
        return [];
      }
    });
  }

  send(message: unknown): void {
    this.#socket.send(typeof message === "string" ? message : JSON.stringify(message));
  }

  sendBytes(bytes: Uint8Array<ArrayBuffer>): void {
    this.#socket.send(bytes);
  }

  /** Sends and waits for the reply with the same id. */
  async ask(message: { message_id: number; [key: string]: unknown }, boundMs = 5_000) {
    const from = this.messages.length;
    this.send(message);
    const reply = () => this.messages.slice(from).find(({ message_id }) => message_id === message.message_id);
    await this.until(() => reply() !== undefined, boundMs);
    return reply();
  }

  /** Waits until what it has heard fulfils the condition. */
  async until(fulfilled: (client: FramesClient) => boolean, boundMs = 5_000): Promise<this> {
    const deadline = performance.now() + boundMs;
    while (!fulfilled(this)) {
      const left = deadline - performance.now();
      if (left <= 0 || this.ending !== undefined) {
        const heard = this.frames.slice(-5).map((frame) => String(frame).slice(0, 200));
        throw new Error(
          `in vain after ${this.frames.length} frames (${JSON.stringify(this.ending)}): ${heard.join("\n")}`,
        );
      }
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      const timer = setTimeout(resolve, left);
      await promise;
      clearTimeout(timer);
    }
    return this;
  }

  /** Everything that was sent to it before now has arrived: the server answers in order. */
  async settled(): Promise<this> {
    await this.ask({ message_id: 900_000 + Math.floor(Math.random() * 1_000_000), message_type: "ping" });
    const pong = this.frames.findLastIndex((frame) => String(frame).includes('"pong"'));
    this.frames.splice(pong, 1);
    return this;
  }

  async close(): Promise<Ending> {
    this.#socket.close();
    return await this.closed;
  }
}

/** Completes the upgrade and then neither reads nor answers by itself. */
export async function rawPeer(url: string, query: Record<string, string> = {}): Promise<Socket> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  socket.on("error", () => {});
  socket.write(
    [
      `GET /ws?${new URLSearchParams(query)} HTTP/1.1`,
      `Host: ${hostname}`,
      "Upgrade: websocket",
      "Connection: Upgrade",
      "Sec-WebSocket-Version: 13",
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
      "\r\n",
    ].join("\r\n"),
  );
  await new Promise<void>((resolve, reject) => {
    socket.once("data", (answer) =>
      String(answer).startsWith("HTTP/1.1 101") ? resolve() : reject(new Error(String(answer))),
    );
    socket.once("close", () => reject(new Error("closed before the upgrade")));
  });
  socket.pause();
  return socket;
}
