// A door with Socket.IO paths that protocols made up by a test share, in this process, and real clients of theirs.
import type { Logger } from "pino";
import type { Socket as ServerSocket } from "socket.io";
import { type ManagerOptions, io as open, type Socket, type SocketOptions } from "socket.io-client";
import type { Limits } from "../../src/limits/limits.ts";
import { createLog } from "../../src/observability/log.ts";
import { type ClaimedNamespace, ConnectRefused } from "../../src/server/claimed-namespace.ts";
import { type FrontDoor, openFrontDoor } from "../../src/server/front-door.ts";
import type { NamespaceClaim } from "../../src/server/socket-claims.ts";
import { SocketIoPaths } from "../../src/server/socket-io.ts";
import { testLimits } from "./limits.ts";

export const PATH = "/socket.io/";
const MIB = 1024 * 1024;

/** A claim whose clients prove themselves by saying its protocol's name as their token. */
export const claimOf = (
  protocol: string,
  namespace: string,
  changes: Partial<NamespaceClaim> = {},
): NamespaceClaim => ({
  protocol,
  namespace,
  limits: { maxMessageBytes: MIB, maxQueuedBytes: 16 * MIB, maxPollingBytes: 1_000_000 },
  maxStrangerBodyBytes: () => 16_384,
  engine: { pingIntervalMs: 25_000, pingTimeoutMs: 20_000, connectTimeoutMs: 10_000 },
  cors: { origins: "*", methods: ["GET", "POST"] },
  log: createLog("silent"),
  ...changes,
});

export interface SharedSockets {
  readonly door: FrontDoor;
  readonly url: string;
  readonly urls: readonly string[];
  readonly limits: Limits;
  readonly claimed: readonly ClaimedNamespace[];
  /** JSON lines of the log, at warn and above. */
  readonly lines: string[];
  /** Not waited for: `connected` does that. */
  connect(namespace: string, options?: Partial<ManagerOptions & SocketOptions>, url?: string): Client;
  close(): Promise<void>;
}

export interface Client {
  readonly socket: Socket;
  /** Events with their arguments. */
  readonly heard: unknown[][];
  /** @throws what the server refused with. */
  connected(): Promise<Client>;
  refused(): Promise<{ readonly message: string; readonly data?: unknown }>;
  ask(event: string, ...args: unknown[]): Promise<unknown>;
}

export interface SharedSocketsOptions {
  readonly claims: readonly NamespaceClaim[];
  /** More claims, such as open ones. */
  readonly also?: (paths: SocketIoPaths) => void;
  /** Names of the protocols at each listener; all of them at one when absent. */
  readonly listeners?: readonly (readonly string[])[];
  readonly path?: string;
  readonly log?: Logger;
}

/** Every claimed namespace echoes: `echo` is answered with the length of what came, and the socket joins room `r`. */
export async function sharedSockets({
  claims,
  also,
  listeners = [[...new Set(claims.map(({ protocol }) => protocol))]],
  path = PATH,
}: SharedSocketsOptions): Promise<SharedSockets> {
  const lines: string[] = [];
  const log = createLog("warn", { write: (line: string) => lines.push(line) });
  const limits = testLimits();
  const paths = new SocketIoPaths({ limits, log });
  also?.(paths);
  const claimed = claims.map((claim) => {
    const namespace = paths.claim(path, { ...claim, log });
    namespace.admit(async ({ handshake }) => {
      if (handshake.auth.token !== claim.protocol)
        throw new ConnectRefused({ message: `not ${claim.protocol}'s` });
    });
    namespace.welcome((socket) => echo(socket));
    return namespace;
  });
  const [first = [], ...more] = listeners.map((names) => ({
    port: 0,
    served: names.map((name) => ({ name, http: [], sockets: [] })),
  })) as [{ port: number; served: [] }];
  const door = openFrontDoor({
    host: "127.0.0.1",
    listeners: [first as { port: number; served: [] }, ...more],
    shared: paths.open(),
    trustedProxies: [],
    limits,
    log,
  });
  const clients: Socket[] = [];
  const urls = door.ports.map((port) => `http://127.0.0.1:${port}`);
  const url = urls[0] ?? "";
  return {
    door,
    url,
    urls,
    limits,
    claimed,
    lines,
    connect: (namespace, options = {}, at = url) => {
      const socket = open(`${at}${namespace}`, {
        path,
        transports: ["websocket"],
        reconnection: false,
        ...options,
      });
      clients.push(socket);
      return clientOf(socket);
    },
    close: async () => {
      for (const socket of clients) socket.close();
      await door.close(1_000);
    },
  };
}

function echo(socket: ServerSocket): void {
  void socket.join("r");
  socket.on("echo", (value: unknown, answer: unknown) => {
    if (typeof answer === "function") answer(typeof value === "string" ? value.length : value);
  });
}

function clientOf(socket: Socket): Client {
  const heard: unknown[][] = [];
  socket.onAny((...args: unknown[]) => heard.push(args));
  const client: Client = {
    socket,
    heard,
    connected: () =>
      new Promise((resolve, reject) => {
        if (socket.connected) return resolve(client);
        socket.once("connect", () => resolve(client));
        socket.once("connect_error", reject);
      }),
    refused: () =>
      new Promise((resolve, reject) => {
        socket.once("connect_error", (error) => resolve(error as Error & { data?: unknown }));
        socket.once("connect", () => reject(new Error("it was let in")));
      }),
    ask: (event, ...args) => socket.timeout(5_000).emitWithAck(event, ...args),
  };
  return client;
}
