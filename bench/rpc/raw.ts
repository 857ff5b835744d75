// HTTP over bare TCP for closed loops: each connection has one request on its way, and the next leaves in the turn in which the answer came.
// As little as possible is done for an answer, so that the server is what is measured.
import type { Socket } from "bun";

export interface Loop {
  readonly url: string;
  /** Whole requests; each connection sends them one after the other, from the first again. */
  readonly requests: readonly Uint8Array[];
  readonly connections: number;
  /** Of each answer, in the order in which they come. @returns whether its connection asks again. */
  answered(body: Buffer, tookMs: number): boolean;
}

export const request = (method: string, path: string, type = "", body: Uint8Array = new Uint8Array()) =>
  Buffer.concat([
    Buffer.from(
      `${method} ${path} HTTP/1.1\r\nHost: bench\r\n${type === "" ? "" : `Content-Type: ${type}\r\nContent-Length: ${body.byteLength}\r\n`}\r\n`,
    ),
    body,
  ]);

const HEAD_END = "\r\n\r\n";
const LENGTH = /content-length: (\d+)/i;
const LONGEST_HEAD = 2_048;

/** Resolves when every connection has ended. Rejects at the first answer that is not 200. */
export async function closedLoop(loop: Loop): Promise<void> {
  await Promise.all(Array.from({ length: loop.connections }, () => oneConnection(loop)));
}

async function oneConnection({ url, requests, answered }: Loop): Promise<void> {
  const { hostname, port } = new URL(url);
  const ended = Promise.withResolvers<void>();
  let next = 0;
  let askedAt = 0;
  let rest: Buffer | undefined;
  const ask = (socket: Socket) => {
    const whole = requests[next++ % requests.length] ?? new Uint8Array();
    askedAt = performance.now();
    if (socket.write(whole) < whole.byteLength) throw new Error("a request did not fit into the socket");
  };
  await Bun.connect({
    hostname,
    port: Number(port),
    socket: {
      open: ask,
      data: (socket, chunk) => {
        try {
          const bytes = rest === undefined ? chunk : Buffer.concat([rest, chunk]);
          const head = bytes.toString("latin1", 0, Math.min(bytes.length, LONGEST_HEAD));
          const bodyAt = head.indexOf(HEAD_END) + HEAD_END.length;
          const length = Number(LENGTH.exec(head)?.[1] ?? Number.NaN);
          if (bodyAt < HEAD_END.length || bytes.length < bodyAt + length) {
            rest = Buffer.from(bytes);
            return;
          }
          rest = undefined;
          if (!head.startsWith("HTTP/1.1 200")) throw new Error(bytes.toString("latin1"));
          if (answered(bytes.subarray(bodyAt, bodyAt + length), performance.now() - askedAt)) ask(socket);
          else {
            ended.resolve();
            socket.end();
          }
        } catch (error) {
          ended.reject(error);
        }
      },
      close: () => ended.reject(new Error("the connection was closed")),
    },
  });
  await ended.promise;
}

const LAST_CHUNK = Buffer.from("\r\n0\r\n\r\n");

/** Asks for a stream and reads it to its end. @returns its bytes, in whatever chunks they came. */
export async function wholeStream(url: string, whole: Uint8Array, keep: boolean): Promise<string> {
  const { hostname, port } = new URL(url);
  const ended = Promise.withResolvers<void>();
  let text = "";
  let tail: Buffer = Buffer.alloc(0);
  await Bun.connect({
    hostname,
    port: Number(port),
    socket: {
      open: (socket) => void socket.write(whole),
      data: (socket, chunk) => {
        if (keep) text += chunk.toString("latin1");
        tail = Buffer.concat([tail, chunk.subarray(-LAST_CHUNK.length)]).subarray(-LAST_CHUNK.length);
        if (!tail.equals(LAST_CHUNK)) return;
        ended.resolve();
        socket.end();
      },
      close: () => ended.reject(new Error("a stream was cut")),
    },
  });
  await ended.promise;
  return text;
}
