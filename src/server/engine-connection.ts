// The parts of an Engine.IO connection of @socket.io/bun-engine that this server relies on, some of them private there: the one seam
// to its inside. Who updates the engine looks here first; test/faults/abuse and test/faults/oversized.test.ts fail when one is gone.
import type { Server as Engine } from "@socket.io/bun-engine";
import type { Peer } from "./peer.ts";

export interface EnginePacket {
  readonly type: string;
  readonly data?: string | Buffer;
}

/** As Socket.IO gives it to the engine. */
interface OutgoingPacket {
  readonly type: string;
  readonly data?: string | ArrayBuffer | Uint8Array<ArrayBuffer>;
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
  /** What its transport could not take yet. */
  readonly writeBuffer: readonly unknown[];
  /** A WebSocket of its own may take over a polling connection, once. */
  readonly upgradeState: "not_upgraded" | "upgrading" | "upgraded";
  /** What the transport has decoded. */
  onPacket(packet: EnginePacket): void;
  /** Everything that is sent, `data` of a "message" being a Socket.IO packet. */
  sendPacket(type: string, data?: unknown): void;
  close(): void;
  on(event: "flush" | "upgrade", listener: () => void): unknown;
  on(event: "packetCreate", listener: (packet: EnginePacket) => void): unknown;
  off(event: "packetCreate", listener: (packet: EnginePacket) => void): unknown;
  listeners(event: "packetCreate"): readonly unknown[];
  once(event: "close", listener: () => void): unknown;
}

/** A WebSocket's, as the engine writes to it. */
interface WebSocketTransport {
  readonly writable: boolean;
  send(packets: readonly OutgoingPacket[]): void;
}

const TYPES: Readonly<Record<string, string>> = {
  open: "0",
  close: "1",
  ping: "2",
  pong: "3",
  message: "4",
  upgrade: "5",
  noop: "6",
};

/** What is being said to a room, until it is said to all of it. */
let said: { readonly data: string; readonly frame: string } | undefined;

function frameOf(type: string, data = ""): string {
  if (type !== "message") return `${TYPES[type]}${data}`;
  // A broadcast is over before any microtask.
  if (said === undefined) queueMicrotask(forget);
  if (said?.data !== data) said = { data, frame: `${TYPES.message}${data}` };
  return said.frame;
}

function forget(): void {
  said = undefined;
}

/**
 * What the engine sends in a turn of the event loop leaves in one write, in its order. The engine itself would make one write, and a
 * copy of the text, of every packet for every socket.
 */
export function sendTogether(transport: object, peer: Peer): void {
  const engines = transport as WebSocketTransport;
  engines.send = (packets) => {
    for (const { type, data } of packets) {
      if (!engines.writable || peer.readyState !== WebSocket.OPEN) return;
      if (data === undefined || typeof data === "string") peer.post(frameOf(type, data));
      // Bytes are their sender's own again when this returns.
      else peer.send(data instanceof ArrayBuffer ? new Uint8Array(data) : data);
    }
  };
}

/**
 * A text of Socket.IO on the short way, which a broadcast takes for each of its sockets: a WebSocket takes it at once, and nobody
 * listens for packets. False: the engine has to send it.
 */
export function saidAtOnce(connection: EngineConnection, text: string): boolean {
  const { readyState, transport, writeBuffer } = connection;
  const { socket } = transport;
  if (socket?.readyState !== WebSocket.OPEN) return false;
  if (readyState !== "open" || writeBuffer.length > 0) return false;
  if (connection.listeners("packetCreate").length > 0) return false;
  socket.post(frameOf("message", text));
  return true;
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
