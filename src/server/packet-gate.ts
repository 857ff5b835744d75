// Stands between one Engine.IO connection and Socket.IO. It knows from the packets themselves whether a client was let in, and keeps
// these true whatever a client sends:
//
// - Before it was let in, a client holds a place among the handshakes, and its packets are small.
// - A connection is in one main namespace at a time. Clients may call it by another name (`isMain`): they are told that name, and
//   Socket.IO only ever sees `/`, so that a broadcast costs what its own listeners cost.
// - Nothing is parsed that is nested too deeply. Such an event is answered with its own error, or ignored as every event is that no
//   handler can read: an error that ends the connection would bring the client back with the same event.
// - Binary attachments that wait for the rest of their packet are few and count as memory. An acknowledgement with attachments is held
//   until it is whole: what is too large of it costs only its own call.

import type { Place } from "../limits/handshakes.ts";
import { isTooDeep } from "../limits/json-depth.ts";
import type { Limits } from "../limits/limits.ts";
import type { EngineConnection, EnginePacket } from "./engine-connection.ts";
import {
  ACK,
  addressedTo,
  BINARY_ACK,
  CONNECT,
  CONNECT_ERROR,
  DISCONNECT,
  EVENT,
  eventName,
  type PacketHead,
  packetHead,
} from "./packet-head.ts";
import type { Peer } from "./peer.ts";

/** Stands for an acknowledgement that was refused, as its only argument. A client that sends it says the same. */
export const REFUSED_ACK = "\u0000refused";

/** Characters of one packet before its client was let in: a token has a few hundred, but a client may claim any id beside it. */
const MAX_STRANGER_PACKET = 100 * 1024;
/** An acknowledgement of more bytes is refused: only its own call fails. */
const MAX_ACK_BYTES = 8 * 1024 * 1024 + 1024;
/** CONNECT packets of one connection until one is accepted. */
const MAX_CONNECTS = 16;
const MAX_ATTACHMENTS = 10;
/** Of all attachments of one packet; no known client sends any. */
const MAX_ATTACHMENT_BYTES = 1024 * 1024;

/** An acknowledgement whose attachments are on their way. */
interface HeldAck {
  readonly text: string;
  readonly ackId: string;
  expected: number;
  bytes: number;
  /** Empty when it is refused: what comes of it is thrown away. */
  pieces: EnginePacket[];
  isRefused: boolean;
}

export interface PacketGateParts {
  readonly connection: EngineConnection;
  readonly place: Place;
  /** Where it comes from. */
  readonly address: string;
  /** Whether a namespace is another name of `/`. */
  readonly isMain: (namespace: string) => boolean;
  /** The acknowledgement with which an event is refused; undefined when it has none. */
  readonly failureOf: (event: string) => unknown;
  readonly connectTimeoutMs: number;
  readonly limits: Limits;
}

export class PacketGate {
  readonly #connection: EngineConnection;
  #phase: "outside" | "asking" | "inside" = "outside";
  /** What the client calls `/`. */
  #name: string | undefined;
  #place: Place | undefined;
  #besides = false;
  #connects = 0;
  #attachments = { expected: 0, bytes: 0 };
  #ack: HeldAck | undefined;
  #timer: Timer | undefined;
  #isEnded = false;
  #peers = new Set<Peer>();
  /** A polling body is being read; called when the connection ends meanwhile. */
  posting: (() => void) | undefined;
  readonly #onward: (packet: EnginePacket) => void;
  readonly #send: (type: string, data?: unknown) => void;

  constructor(private readonly parts: PacketGateParts) {
    const { connection, place } = parts;
    this.#connection = connection;
    this.#onward = connection.onPacket.bind(connection);
    this.#send = connection.sendPacket.bind(connection);
    connection.onPacket = (packet) => this.#arrived(packet);
    connection.sendPacket = (type, data) => this.#leaves(type, data);
    connection.once("close", () => this.#closed());
    if (connection.transport.socket !== undefined) this.carriedBy(connection.transport.socket);
    this.#hold(place);
  }

  get isInside(): boolean {
    return this.#phase === "inside";
  }

  /** A WebSocket carries this connection, or is about to. */
  carriedBy(peer: Peer): void {
    this.#peers.add(peer);
    if (this.#isEnded) peer.terminate();
    else if (this.isInside) peer.letIn();
  }

  /** Ends the connection without waiting for its client. */
  drop(): void {
    this.#isEnded = true;
    const { transport } = this.#connection;
    for (const peer of this.#peers) peer.terminate();
    // Not the connection's own close, which would wait for a poll.
    if (transport.name === "polling") transport.close();
  }

  /** Ends the connection with a reason, where its transport can tell one. */
  end(code: number, reason: string): void {
    if (this.#isEnded) return;
    const { name, socket } = this.#connection.transport;
    if (name === "polling" || socket === undefined) this.drop();
    else {
      this.#isEnded = true;
      socket.close(code, reason);
    }
  }

  #arrived(packet: EnginePacket): void {
    if (this.#isEnded) return;
    const { type, data } = packet;
    if (type !== "message" || data === undefined) this.#onward(packet);
    else if (typeof data !== "string") this.#attachment(packet, data);
    else if (this.#ack !== undefined) this.#endSilently(1002, "attachments are missing");
    // An event in `/` without an acknowledgement: most of all.
    else if (this.isInside && this.#name === undefined && data.startsWith("2[") && !isTooDeep(data))
      this.#onward(packet);
    else {
      const head = packetHead(data);
      const text =
        head === undefined ? this.#endSilently(1002, "no Socket.IO packet") : this.#checked(data, head);
      if (text !== undefined) this.#onward(text === data ? packet : { type, data: text });
    }
  }

  /** What Socket.IO may see of it. */
  #checked(data: string, head: PacketHead): string | undefined {
    const { bounds } = this.parts.limits;
    if (!this.isInside && data.length > MAX_STRANGER_PACKET) {
      bounds.refused("anonymous-bytes", { address: this.parts.address, bytes: data.length });
      this.end(1009, "message too large");
      return undefined;
    }
    const isMain = this.#isMain(head.namespace);
    if (isTooDeep(data.slice(head.jsonAt))) {
      bounds.refused("json-depth", { address: this.parts.address });
      return this.#refuse(data, head, 1008, "nested too deeply");
    }
    if ((head.type === ACK || head.type === BINARY_ACK) && isLonger(data, MAX_ACK_BYTES)) {
      bounds.refused("value-size", { address: this.parts.address, bytes: data.length });
      return this.#refuse(data, head, 1009, "message too large");
    }
    const isHeld = head.type === BINARY_ACK && head.attachments > 0 && this.isInside && isMain;
    if (head.attachments > 0 && !isHeld) {
      if (head.attachments > MAX_ATTACHMENTS) return this.#endSilently(1009, "too many attachments");
      this.#attachments = { expected: head.attachments, bytes: 0 };
    }
    if (head.type === CONNECT) return this.#asks(data, head, isMain);
    // It never asked for the main namespace under this name.
    if (isMain && head.namespace !== (this.#name ?? "/")) return this.#endSilently(1002, "no such namespace");
    if (head.type === DISCONNECT) this.#leave(isMain);
    const text = isMain ? asMain(data, head) : data;
    if (!isHeld) return text;
    this.#holdAck(text, head);
    return undefined;
  }

  #asks(data: string, head: PacketHead, isMain: boolean): string | undefined {
    if (++this.#connects > MAX_CONNECTS) return this.#endSilently(1008, "too many namespaces");
    if (!isMain) return data;
    if (this.#phase !== "outside") {
      // The same again is a protocol error, as everywhere; another name is another wish.
      if (head.namespace === (this.#name ?? "/")) return this.#endSilently(1002, "connected already");
      const refusal = JSON.stringify({ message: "This connection has a namespace already" });
      this.#send(
        "message",
        `${CONNECT_ERROR}${head.namespace === "/" ? "" : `${head.namespace},`}${refusal}`,
      );
      return undefined;
    }
    this.#phase = "asking";
    this.#name = head.namespace === "/" ? undefined : head.namespace;
    if (this.#place !== undefined) this.#place.isBusy = true;
    return asMain(data, head);
  }

  #leave(isMain: boolean): void {
    if (isMain && this.#phase === "inside") {
      this.#phase = "outside";
      for (const peer of this.#peers) peer.leftOut();
      const { address, limits } = this.parts;
      const isWebSocket = this.#connection.transport.name === "websocket";
      this.#hold(limits.handshakes.reenter({ address, isWebSocket }));
    } else if (!isMain && this.#besides) {
      this.#besides = false;
      if (this.#place !== undefined) this.#place.isBusy = this.#phase === "asking";
    } else return;
    // Socket.IO itself looks only once, after the transport was opened.
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      if (!this.isInside && !this.#besides) this.drop();
    }, this.parts.connectTimeoutMs);
  }

  #hold(place: Place): void {
    this.#place = place;
    place.end = () => this.drop();
  }

  #isMain(namespace: string): boolean {
    return namespace === "/" || this.parts.isMain(namespace);
  }

  /** Undefined: Socket.IO hears nothing of it. */
  #refuse(data: string, head: PacketHead, code: number, reason: string): string | undefined {
    if (!this.isInside) return this.#endSilently(code, reason);
    if (head.type === ACK || head.type === BINARY_ACK)
      return `${ACK}${head.ackId}${JSON.stringify([REFUSED_ACK])}`;
    if (head.type !== EVENT) return this.#endSilently(code, reason);
    const event = head.ackId === "" ? undefined : eventName(data, head);
    const failure = event === undefined ? undefined : this.parts.failureOf(event);
    if (failure === undefined) return undefined;
    const answer = `${ACK}${head.ackId}${JSON.stringify([failure])}`;
    this.#send("message", this.#name === undefined ? answer : addressedTo(answer, this.#name));
    return undefined;
  }

  #endSilently(code: number, reason: string): undefined {
    this.end(code, reason);
    return undefined;
  }

  #holdAck(text: string, { ackId, attachments }: PacketHead): void {
    const isRefused = attachments > MAX_ATTACHMENTS;
    this.#ack = { text, ackId, expected: attachments, bytes: Buffer.byteLength(text), pieces: [], isRefused };
  }

  #pieceOfAck(ack: HeldAck, packet: EnginePacket, data: Buffer): void {
    ack.bytes += data.byteLength;
    ack.expected--;
    ack.isRefused ||= ack.bytes > MAX_ACK_BYTES;
    if (ack.isRefused) ack.pieces = [];
    else ack.pieces.push(packet);
    const held = ack.isRefused || ack.expected === 0 ? 0 : ack.bytes;
    this.parts.limits.arriving.set(this, held, () => this.drop());
    if (ack.expected > 0 || this.#isEnded) return;
    this.#ack = undefined;
    if (ack.isRefused) {
      this.parts.limits.bounds.refused("value-size", { address: this.parts.address, bytes: ack.bytes });
      this.#onward({ type: "message", data: `${ACK}${ack.ackId}${JSON.stringify([REFUSED_ACK])}` });
      return;
    }
    this.#onward({ type: "message", data: ack.text });
    for (const piece of ack.pieces) this.#onward(piece);
  }

  #attachment(packet: EnginePacket, data: Buffer): void {
    if (this.#ack !== undefined) {
      this.#pieceOfAck(this.#ack, packet, data);
      return;
    }
    const waiting = this.#attachments;
    waiting.bytes += data.byteLength;
    waiting.expected--;
    if (waiting.bytes > (this.isInside ? MAX_ATTACHMENT_BYTES : MAX_STRANGER_PACKET))
      this.end(1009, "message too large");
    const held = waiting.expected > 0 ? waiting.bytes : 0;
    this.parts.limits.arriving.set(this, held, () => this.drop());
    if (!this.#isEnded) this.#onward(packet);
  }

  #leaves(type: string, data: unknown): void {
    const isText = type === "message" && typeof data === "string";
    if (isText && !this.isInside) this.#answered(data);
    this.#send(type, isText && this.#name !== undefined ? addressedTo(data, this.#name) : data);
  }

  /** Reads Socket.IO's decision from its own packet. */
  #answered(data: string): void {
    const isMain = data.charAt(1) !== "/";
    if (data.startsWith(CONNECT) && !isMain) {
      // Let in where no token is asked for: it keeps its place, and is no longer waited for.
      this.#besides = true;
      if (this.#place !== undefined) this.#place.isBusy = true;
    } else if (data.startsWith(CONNECT) && this.#phase === "asking") {
      this.#phase = "inside";
      this.#connects = 0;
      clearTimeout(this.#timer);
      this.#place?.leave();
      this.#place = undefined;
      for (const peer of this.#peers) peer.letIn();
    } else if (data.startsWith(CONNECT_ERROR) && isMain && this.#phase === "asking") {
      this.#phase = "outside";
      if (this.#place !== undefined) this.#place.isBusy = this.#besides;
    }
  }

  #closed(): void {
    this.#isEnded = true;
    clearTimeout(this.#timer);
    this.#place?.leave();
    this.#place = undefined;
    this.parts.limits.arriving.forget(this);
    this.#peers.clear();
    this.posting?.();
  }
}

/** The packet without the name of its namespace. */
function asMain(data: string, { nameAt, nameEnd }: PacketHead): string {
  return nameAt === nameEnd ? data : data.slice(0, nameAt) + data.slice(nameEnd);
}

/** In UTF-8. A UTF-16 unit is one to three bytes. */
const isLonger = (text: string, bytes: number): boolean =>
  text.length * 3 > bytes && (text.length > bytes || Buffer.byteLength(text) > bytes);
