// How commands speak with the server that runs on a data folder: over a socket in the folder, which only its owner may open. Where
// there are no such sockets, or the path is too long for one, over a port of the loopback interface, with a token that is kept in the folder.
import { chmodSync, existsSync, readFileSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { z } from "zod";
import { bearerToken, isToken } from "../auth/bearer.ts";
import { writeFileDurably } from "../storage/durable-file.ts";

export type Handler = (request: Request) => Response | Promise<Response>;

const SOCKET = "roost.sock";
const PORT_FILE = "roost.admin";
/** What every system takes for the path of a socket. */
const MAX_SOCKET_PATH = 100;
const MAX_BODY_BYTES = 64 * 1024;
/** A big account takes a while to count or to delete. */
const ANSWER_MS = 10 * 60_000;
const IDLE_SECONDS = 255;

const portFile = z.object({ port: z.int().min(1).max(65_535), token: z.string().min(1) });

/** Answers until it is closed. Whoever opens it holds the folder's lock, so that leftovers are nobody's. */
export function openChannel(dataDir: string, handler: Handler): { close(): Promise<void> } {
  const socket = resolve(dataDir, SOCKET);
  const file = join(dataDir, PORT_FILE);
  rmSync(socket, { force: true });
  rmSync(file, { force: true });
  if (takesSocket(socket)) {
    try {
      return socketChannel(socket, handler);
    } catch {
      // Some file systems have no sockets: the port serves as well.
      rmSync(socket, { force: true });
    }
  }
  const token = Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString("hex");
  const server = Bun.serve({
    maxRequestBodySize: MAX_BODY_BYTES,
    idleTimeout: IDLE_SECONDS,
    hostname: "127.0.0.1",
    port: 0,
    fetch: (request) =>
      isToken(bearerToken(request.headers.get("authorization")), token)
        ? handler(request)
        : new Response(null, { status: 401 }),
  });
  writeFileDurably(file, JSON.stringify({ port: server.port, token }), 0o600);
  return {
    close: async () => {
      await server.stop(true);
      rmSync(file, { force: true });
    },
  };
}

function socketChannel(socket: string, handler: Handler): { close(): Promise<void> } {
  const server = Bun.serve({
    unix: socket,
    maxRequestBodySize: MAX_BODY_BYTES,
    fetch: (request, bun) => {
      bun.timeout(request, IDLE_SECONDS);
      return handler(request);
    },
  });
  chmodSync(socket, 0o600);
  return {
    close: async () => {
      await server.stop(true);
      rmSync(socket, { force: true });
    },
  };
}

/** Sends to the server that runs on the folder. */
export type Send = (path: string, init: RequestInit) => Promise<Response>;

/** Undefined when no server has a channel there. */
export function findChannel(dataDir: string): Send | undefined {
  const socket = resolve(dataDir, SOCKET);
  const signal = () => AbortSignal.timeout(ANSWER_MS);
  if (takesSocket(socket) && existsSync(socket))
    return (path, init) => fetch(`http://localhost${path}`, { ...init, unix: socket, signal: signal() });
  const address = readPortFile(join(dataDir, PORT_FILE));
  if (address === undefined) return undefined;
  return (path, init) => {
    const headers = new Headers(init.headers);
    headers.set("authorization", `Bearer ${address.token}`);
    return fetch(`http://127.0.0.1:${address.port}${path}`, { ...init, headers, signal: signal() });
  };
}

const takesSocket = (path: string) =>
  process.platform !== "win32" && Buffer.byteLength(path) <= MAX_SOCKET_PATH;

function readPortFile(path: string): z.output<typeof portFile> | undefined {
  try {
    return portFile.parse(JSON.parse(readFileSync(path, "utf8")));
  } catch {
    return undefined;
  }
}
