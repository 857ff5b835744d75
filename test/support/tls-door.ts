// A TLS door alone, in front of a server that a test brings: what the door itself bounds shows there.
import { createServer, type Socket } from "node:net";
import { MemoryCeiling } from "../../src/limits/memory-ceiling.ts";
import { MemoryPieces } from "../../src/limits/memory-pieces.ts";
import { createLog } from "../../src/observability/log.ts";
import { TlsDoor, type TlsDoorParts } from "../../src/server/tls-door.ts";
import type { Pair } from "./certificates.ts";

export interface TestDoor {
  readonly door: TlsDoor;
  readonly port: number;
  readonly authority: Pair;
  readonly waiting: MemoryPieces;
  /** Names of bounds that refused. */
  readonly refused: string[];
  close(): Promise<void>;
}

export interface TestDoorOptions extends Partial<TlsDoorParts> {
  readonly server: Pair;
  readonly authority: Pair;
  readonly innerPort: number;
  /** Of all that waits. */
  readonly ceilingBytes?: number;
}

export function openTestDoor({
  server,
  authority,
  ceilingBytes = 2 ** 30,
  ...more
}: TestDoorOptions): TestDoor {
  const refused: string[] = [];
  const { cert, key } = server;
  const waiting = new MemoryPieces("TLS door", new MemoryCeiling(() => ceilingBytes));
  const door = new TlsDoor({
    host: "127.0.0.1",
    port: 0,
    terms: { cert, key, clientCertificates: "none" },
    maxConnections: 1000,
    waiting,
    bounds: { refused: (name) => void refused.push(name) },
    log: createLog("silent"),
    ...more,
  });
  return { door, port: door.port, authority, waiting, refused, close: () => door.cut() };
}

export interface InnerServer {
  readonly port: number;
  /** Connections that the door made, in their order. */
  readonly sockets: readonly Socket[];
  next(): Promise<Socket>;
  close(): void;
}

/** Bytes and nothing else; nobody reads until the test does. */
export async function openInner(): Promise<InnerServer> {
  const sockets: Socket[] = [];
  const waiting: ((socket: Socket) => void)[] = [];
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => {});
    socket.pause();
    sockets.push(socket);
    waiting.shift()?.(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : 0,
    sockets,
    next: () => new Promise((resolve) => waiting.push(resolve)),
    close: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}
