// Clients over bare TCP that do as little as they can: one HTTP connection that is kept, and one reader of an event stream. They share the
// cores with the server that is measured.
import type { Socket } from "bun";

export interface RawHttp {
  /** Sends a whole request. @returns the length of the answer's body. @throws for any status but 200. */
  ask(request: string): Promise<number>;
  close(): void;
}

export const rawRequest = (method: string, path: string, headers: Record<string, string>, body = "") =>
  `${method} ${path} HTTP/1.1\r\nHost: bench\r\n${Object.entries(headers)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join("")}${body === "" ? "" : `Content-Length: ${Buffer.byteLength(body)}\r\n`}\r\n${body}`;

const HEAD_END = "\r\n\r\n";
const LAST_CHUNK = "\r\n0\r\n\r\n";

/** One answer after the other: what comes is an answer's head, then its body by length or in chunks. */
class Answer {
  #head = "";
  #length: number | undefined;
  #isChunked = false;
  #bytes = 0;
  #tail = "";

  /** @returns the length of the body once it is there. */
  take(chunk: Buffer): number | undefined {
    let body = chunk;
    if (this.#length === undefined && !this.#isChunked) {
      this.#head += chunk.toString("latin1", 0, 4096);
      const end = this.#head.indexOf(HEAD_END);
      if (end < 0) return undefined;
      const head = this.#head.slice(0, end);
      if (!head.startsWith("HTTP/1.1 200")) throw new Error(this.#head);
      const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
      this.#isChunked = length === undefined;
      this.#length = length === undefined ? undefined : Number(length);
      body = chunk.subarray(chunk.length - (this.#head.length - end - HEAD_END.length));
      if (chunk.length > 4096) body = chunk.subarray(chunk.indexOf(HEAD_END) + HEAD_END.length);
    }
    this.#bytes += body.length;
    if (!this.#isChunked) return this.#bytes >= (this.#length ?? 0) ? this.#bytes : undefined;
    this.#tail = (this.#tail + body.toString("latin1", Math.max(0, body.length - 7))).slice(-7);
    return this.#tail === LAST_CHUNK || (this.#bytes === 5 && this.#tail === "0\r\n\r\n")
      ? this.#bytes
      : undefined;
  }
}

export async function rawHttp(url: string): Promise<RawHttp> {
  const { hostname, port } = new URL(url);
  let answer = new Answer();
  let waiting: PromiseWithResolvers<number> | undefined;
  const socket = await Bun.connect({
    hostname,
    port: Number(port),
    socket: {
      data: (_, chunk) => {
        try {
          const bytes = answer.take(chunk);
          if (bytes === undefined) return;
          answer = new Answer();
          waiting?.resolve(bytes);
        } catch (error) {
          waiting?.reject(error);
        }
      },
      close: () => waiting?.reject(new Error("the connection was closed")),
    },
  });
  return {
    ask: (request) => {
      waiting = Promise.withResolvers<number>();
      const written = socket.write(request);
      if (written < Buffer.byteLength(request)) throw new Error("a request did not fit into the socket");
      return waiting.promise;
    },
    close: () => socket.end(),
  };
}

/** Messages of the bench have it before four digits that name their sender. */
export const MARK = '"@';
const MARK_BYTES = Buffer.from(MARK);
const MARKED = MARK_BYTES.length + 4;
const NOTHING = Buffer.alloc(0);

/** Opens `GET /api/events`; `heard` is called with the sender of each message that comes. */
export function eventReader(
  url: string,
  jwt: string,
  heard: (sender: number) => void,
  query = "all=true",
): Promise<{ close(): void }> {
  const { hostname, port } = new URL(url);
  const opened = Promise.withResolvers<{ close(): void }>();
  let isOpen = false;
  let carry: Buffer = NOTHING;
  const look = (chunk: Buffer) => {
    const bytes = carry.length === 0 ? chunk : Buffer.concat([carry, chunk]);
    let from = 0;
    for (;;) {
      const at = bytes.indexOf(MARK_BYTES, from);
      if (at < 0) break;
      if (at + MARKED > bytes.length) {
        carry = Buffer.from(bytes.subarray(at));
        return;
      }
      heard(Number(bytes.toString("latin1", at + MARK.length, at + MARKED)));
      from = at + MARKED;
    }
    carry = bytes.at(-1) === MARK_BYTES[0] ? Buffer.from(MARK_BYTES.subarray(0, 1)) : NOTHING;
  };
  const socket: Promise<Socket> = Bun.connect({
    hostname,
    port: Number(port),
    socket: {
      open: (it) => {
        it.write(rawRequest("GET", `/api/events?${query}`, { Authorization: `Bearer ${jwt}` }));
      },
      data: (it, chunk) => {
        if (!isOpen && chunk.includes("subscriptionId")) {
          isOpen = true;
          opened.resolve({ close: () => it.end() });
        }
        look(chunk);
      },
      close: () => opened.reject(new Error("an event stream was closed")),
    },
  });
  socket.catch(opened.reject);
  return opened.promise;
}
