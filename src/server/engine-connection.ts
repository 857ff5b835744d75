// The parts of an Engine.IO connection of @socket.io/bun-engine that this server relies on, some of them private there: the one seam
// to its inside. Who updates the engine looks here first; test/faults/abuse and test/faults/oversized.test.ts fail when one is gone.
import type { Server as Engine } from "@socket.io/bun-engine";
import type { Peer } from "./peer.ts";

export interface EnginePacket {
  readonly type: string;
  readonly data?: string | Buffer;
}

export interface EngineTransport {
  readonly name: "polling" | "websocket";
  /** Of a WebSocket, once it is open. */
  readonly socket?: Peer;
  close(): void;
}

export interface EngineConnection {
  readonly id: string;
  readonly readyState: "opening" | "open" | "closing" | "closed";
  readonly transport: EngineTransport;
  /** A WebSocket of its own may take over a polling connection, once. */
  readonly upgradeState: "not_upgraded" | "upgrading" | "upgraded";
  /** What the transport has decoded. */
  onPacket(packet: EnginePacket): void;
  /** Everything that is sent, `data` of a "message" being a Socket.IO packet. */
  sendPacket(type: string, data?: unknown): void;
  close(): void;
  on(event: "flush" | "upgrade", listener: () => void): unknown;
  on(event: "packetCreate", listener: (packet: EnginePacket) => void): unknown;
  once(event: "close", listener: () => void): unknown;
}

/** What a polling transport takes of one body is what its engine announced, unless it is told otherwise. */
export function takeBodies(engine: Engine, { transport }: EngineConnection, maxBytes: number): void {
  const { opts } = engine;
  if (transport.name === "polling" && opts.maxHttpBufferSize !== maxBytes)
    Object.assign(transport, { opts: { ...opts, maxHttpBufferSize: maxBytes } });
}

export function connectionOf(engine: Engine, id: string): EngineConnection | undefined {
  const { clients } = engine as unknown as { readonly clients: ReadonlyMap<string, EngineConnection> };
  return clients.get(id);
}
