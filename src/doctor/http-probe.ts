// Asks a server from outside, the way the app does. Certificates are not judged here, so that one wrong thing does not hide the
// others; every wait has a bound.
import { connect as connectTcp, isIP, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { z } from "zod";

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  /** At most the first 64 KiB. */
  readonly text: string;
}

const MAX_TEXT = 64 * 1024;
const ANSWER_MS = 15_000;

/** @throws Error with the system's words when there is no answer. */
export async function ask(
  url: string,
  options: { method?: string; headers?: Record<string, string>; body?: string } = {},
): Promise<Answer> {
  const response = await fetch(url, {
    ...options,
    redirect: "manual",
    tls: { rejectUnauthorized: false },
    signal: AbortSignal.timeout(ANSWER_MS),
  });
  const text = (await response.text()).slice(0, MAX_TEXT);
  return { status: response.status, headers: response.headers, text };
}

/** Whether the answer is one of Roost's own refusals, and not a page of something in front of it. */
export function isOwnRefusal({ status, text }: Pick<Answer, "status" | "text">): boolean {
  if (status < 400 || status >= 500) return false;
  try {
    return z.object({ error: z.string() }).safeParse(JSON.parse(text)).success;
  } catch {
    return false;
  }
}

/** For a sentence: `301 to https://…`, `502 from nginx`. */
export function describe({ status, headers }: Pick<Answer, "status" | "headers">): string {
  const to = headers.get("location");
  const from = headers.get("server");
  return `${status}${to === null ? "" : ` to ${to}`}${from === null ? "" : ` from ${from}`}`;
}

export interface RawAnswer extends Answer {
  /** Bytes of the body that were handed over before the answer came. */
  readonly sentBytes: number;
}

export interface RawRequest {
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Zeros, so many. */
  readonly bodyBytes?: number;
  readonly body?: string;
}

const CHUNK = new Uint8Array(64 * 1024);

/**
 * One request on a connection of its own, byte by byte: the answer counts also when it comes before the body was sent.
 * @throws Error that says how far it came.
 */
export async function askRaw(url: URL, request: RawRequest, boundMs: number): Promise<RawAnswer> {
  const socket = await open(url);
  const bodyBytes = request.bodyBytes ?? 0;
  let sentBytes = 0;
  try {
    const { promise, resolve, reject } = Promise.withResolvers<RawAnswer>();
    let received: Uint8Array = new Uint8Array();
    const timer = setTimeout(() => reject(new Error(`no answer within ${boundMs / 1_000} s`)), boundMs);
    const look = (ended: boolean) => {
      const answer = parse(Buffer.from(received), ended);
      if (answer === undefined) return;
      resolve({ ...answer, sentBytes });
    };
    socket.on("data", (chunk) => {
      if (received.length < MAX_TEXT) received = Buffer.concat([received, Buffer.from(chunk)]);
      look(false);
    });
    socket.on("end", () => look(true));
    socket.on("close", () => {
      look(true);
      reject(new Error(`the connection was cut after ${sentBytes} of ${bodyBytes} bytes`));
    });
    socket.on("error", () => {});
    const head = [`${request.method} ${url.pathname}${url.search} HTTP/1.1`, `Host: ${url.host}`];
    for (const [name, value] of Object.entries(request.headers)) head.push(`${name}: ${value}`);
    if (request.bodyBytes !== undefined) head.push(`Content-Length: ${bodyBytes}`);
    if (request.body !== undefined) head.push(`Content-Length: ${Buffer.byteLength(request.body)}`);
    socket.write(`${head.join("\r\n")}\r\n\r\n${request.body ?? ""}`);
    let answered = false;
    const done = promise.finally(() => {
      answered = true;
      clearTimeout(timer);
    });
    done.catch(() => {});
    while (!answered && sentBytes < bodyBytes && !socket.destroyed) {
      const chunk = CHUNK.subarray(0, Math.min(CHUNK.length, bodyBytes - sentBytes));
      const { promise: taken, resolve: take } = Promise.withResolvers<void>();
      socket.write(chunk, () => take());
      await Promise.race([
        taken,
        done.then(
          () => {},
          () => {},
        ),
      ]);
      sentBytes += chunk.length;
    }
    return await done;
  } finally {
    socket.destroy();
  }
}

/** @throws Error with the system's words. */
function open(url: URL): Promise<Socket> {
  const secure = url.protocol === "https:";
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const port = Number(url.port) || (secure ? 443 : 80);
  return new Promise((resolve, reject) => {
    const socket = secure
      ? connectTls({ host, port, ...(isIP(host) === 0 && { servername: host }), rejectUnauthorized: false })
      : connectTcp({ host, port });
    const timer = setTimeout(() => {
      socket.destroy();
      reject(new Error(`no connection within ${ANSWER_MS / 1_000} s`));
    }, ANSWER_MS);
    socket.once(secure ? "secureConnect" : "connect", () => {
      clearTimeout(timer);
      socket.removeAllListeners("error");
      resolve(socket);
    });
    socket.once("error", (error) => {
      clearTimeout(timer);
      reject(error);
    });
  });
}

/** Undefined while it is not all there: head, and as much of the body as its length says. */
function parse(bytes: Buffer, ended: boolean): Answer | undefined {
  const end = bytes.indexOf("\r\n\r\n");
  if (end < 0) return undefined;
  const [first = "", ...lines] = bytes.subarray(0, end).toString("latin1").split("\r\n");
  const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(first)?.[1]);
  if (!Number.isInteger(status)) return undefined;
  if (status === 100) return parse(bytes.subarray(end + 4), ended);
  const headers = new Headers();
  for (const line of lines) {
    const colon = line.indexOf(":");
    try {
      if (colon > 0) headers.append(line.slice(0, colon).trim(), line.slice(colon + 1).trim());
    } catch {
      // A header that is none says nothing.
    }
  }
  const body = bytes.subarray(end + 4);
  const length = Number(headers.get("content-length") ?? Number.NaN);
  const whole =
    status === 101 ||
    ended ||
    body.length >= Math.min(length, MAX_TEXT) ||
    body.toString("latin1").endsWith("\r\n0\r\n\r\n") ||
    bytes.length >= MAX_TEXT;
  if (!whole) return undefined;
  const text = body.toString("utf8");
  const chunked = headers.get("transfer-encoding")?.toLowerCase() === "chunked";
  return { status, headers, text: chunked ? text.replace(/(^|\r\n)[0-9a-f]+\r\n/gi, "") : text };
}
