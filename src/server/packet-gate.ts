// Stands between one Engine.IO connection and Socket.IO. It knows from the packets themselves where a client was let in, and keeps
// these true whatever a client sends:
//
// - Before it was let in anywhere, a client holds a place among the handshakes; to a namespace that has not let it in its packets are small.
// - A connection is in each claimed namespace at most once. Where clients may call it by another name they are told that name, and
//   Socket.IO only ever sees the namespace itself, so that a broadcast costs what its own listeners cost.
// - Nothing is parsed that is nested too deeply. Such an event is answered with its own error, or ignored as every event is that no
//   handler can read: an error that ends the connection would bring the client back with the same event.
// - Binary attachments that wait for the rest of their packet are few and count as memory. An acknowledgement with attachments is held
//   until it is whole: what is too large of it costs only its own call.

import type { Place } from "../limits/handshakes.ts";
import { isTooDeep } from "../limits/json-depth.ts";
import type { Limits } from "../limits/limits.ts";
import { Attachments, MAX_ATTACHMENTS } from "./attachments.ts";
import { type EngineConnection, type EnginePacket, saidAtOnce } from "./engine-connection.ts";
import { HandshakePlace } from "./handshake-place.ts";
import { Memberships } from "./memberships.ts";
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
  prefixOf,
  readdressed,
} from "./packet-head.ts";
import type { Peer } from "./peer.ts";
import type {
  ConnectRefusal,
  NamespaceClaim,
  NamespaceLimits,
  Refusals,
  ServedClaims,
} from "./socket-claims.ts";

/** Stands for an acknowledgement that was refused, as its only argument. A client that sends it says the same. */
export const REFUSED_ACK = "\u0000refused";

/** Characters of one packet before its client was let in: a token has a few hundred, but a client may claim any id beside it. */
const MAX_STRANGER_PACKET = 100 * 1024;
/** CONNECT packets of one connection until one is accepted. */
const MAX_CONNECTS = 16;
/** Of all attachments of one packet; no known client sends any. */
const MAX_ATTACHMENT_BYTES = 1024 * 1024;

export interface PacketGateParts {
  readonly connection: EngineConnection;
  readonly place: Place;
  /** Where it comes from. */
  readonly address: string;
  readonly claims: ServedClaims;
  /** Of the request that opened the connection: what refuses it as soon as its client asks for it. */
  readonly refusals: Refusals;
  /** Whether Socket.IO has a namespace that is not served here. */
  readonly isHidden: (name: string) => boolean;
  readonly connectTimeoutMs: number;
  readonly limits: Limits;
}

export class PacketGate {
  readonly #connection: EngineConnection;
  readonly #memberships: Memberships;
  readonly #place: HandshakePlace;
  #connects = 0;
  readonly #attachments = new Attachments();
  #isEnded = false;
  #peers = new Set<Peer>();
  /** A polling body is being read; called when the connection ends meanwhile. */
  posting: (() => void) | undefined;
  readonly #onward: (packet: EnginePacket) => void;
  readonly #send: (type: string, data?: unknown) => void;

  constructor(private readonly parts: PacketGateParts) {
    const { connection, place, address, claims, connectTimeoutMs, limits } = parts;
    this.#connection = connection;
    this.#memberships = new Memberships(claims);
    this.#place = new HandshakePlace({
      place,
      memberships: this.#memberships,
      handshakes: limits.handshakes,
      address,
      isWebSocket: () => connection.transport.name === "websocket",
      connectTimeoutMs,
      drop: () => this.drop(),
    });
    this.#onward = connection.onPacket.bind(connection);
    this.#send = connection.sendPacket.bind(connection);
    connection.onPacket = (packet) => this.#arrived(packet);
    connection.sendPacket = (type, data) => this.#leaves(type, data);
    connection.once("close", () => this.#closed());
    if (connection.transport.socket !== undefined) this.carriedBy(connection.transport.socket);
  }

  get isInside(): boolean {
    return this.#memberships.isInside;
  }

  /** What the client may send and let wait now. */
  get limits(): NamespaceLimits {
    return this.#memberships.limits;
  }

  get claims(): ServedClaims {
    return this.parts.claims;
  }

  /** The client is in the namespace, or asked to be and waits for the answer. */
  concerns(claim: NamespaceClaim): boolean {
    return this.#memberships.of(claim).phase !== "outside";
  }

  /** Whether the connection carries more than this namespace. */
  hasBeside(claim: NamespaceClaim): boolean {
    return this.#memberships.hasBeside(claim);
  }

  /** A WebSocket carries this connection, or is about to. */
  carriedBy(peer: Peer): void {
    this.#peers.add(peer);
    if (this.#isEnded) peer.terminate();
    else this.#bound(peer);
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
    const { quickPrefix } = this.#memberships;
    if (type !== "message" || data === undefined) this.#onward(packet);
    else if (typeof data !== "string") this.#attachment(packet, data);
    else if (this.#attachments.isHolding) this.#endSilently(1002, "attachments are missing");
    // Most of all.
    else if (quickPrefix !== undefined && data.startsWith(quickPrefix) && !isTooDeep(data))
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
    const claim = this.parts.claims.named(head.namespace);
    const isMember = this.#isMember(claim);
    if (!isMember && data.length > MAX_STRANGER_PACKET) {
      bounds.refused("anonymous-bytes", { address: this.parts.address, bytes: data.length });
      this.end(1009, "message too large");
      return undefined;
    }
    if (isTooDeep(data.slice(head.jsonAt))) {
      bounds.refused("json-depth", { address: this.parts.address });
      return this.#refuse(data, head, claim, 1008, "nested too deeply");
    }
    const isAck = head.type === ACK || head.type === BINARY_ACK;
    if (isAck && claim !== undefined && isLonger(data, maxAckBytes(claim))) {
      bounds.refused("value-size", { address: this.parts.address, bytes: data.length });
      return this.#refuse(data, head, claim, 1009, "message too large");
    }
    // The connection may send what the largest of its namespaces takes.
    if (this.#memberships.hasSeveral && claim !== undefined && isLonger(data, claim.limits.maxMessageBytes))
      return this.#endSilently(1009, "message too large");
    const isHeld = head.type === BINARY_ACK && head.attachments > 0 && claim !== undefined && isMember;
    if (head.attachments > 0 && !isHeld) {
      if (head.attachments > MAX_ATTACHMENTS) return this.#endSilently(1009, "too many attachments");
      const maxBytes = isMember ? MAX_ATTACHMENT_BYTES : MAX_STRANGER_PACKET;
      this.#attachments.expect(head.attachments, maxBytes);
    }
    if (head.type === CONNECT) return this.#asks(data, head, claim);
    // It never asked for the namespace under this name.
    if (claim !== undefined && head.namespace !== this.#memberships.of(claim).name)
      return this.#endSilently(1002, "no such namespace");
    if (head.type === DISCONNECT) this.#left(claim, head.namespace);
    if (claim === undefined) return data;
    const text = readdressed(data, head, claim.namespace);
    if (!isHeld) return text;
    this.#attachments.hold({
      text,
      refused: refusedAck(claim.namespace, head.ackId),
      attachments: head.attachments,
      maxBytes: maxAckBytes(claim),
    });
    return undefined;
  }

  #asks(data: string, head: PacketHead, claim: NamespaceClaim | undefined): string | undefined {
    const { refusals, isHidden } = this.parts;
    const name = head.namespace;
    if (++this.#connects > MAX_CONNECTS) return this.#endSilently(1008, "too many namespaces");
    if (claim === undefined) return isHidden(name) ? this.#refuseConnect(name, NO_NAMESPACE) : data;
    const { phase, name: before } = this.#memberships.of(claim);
    if (phase !== "outside") {
      // The same again is a protocol error, as everywhere; another name is another wish.
      if (name === before) return this.#endSilently(1002, "connected already");
      return this.#refuseConnect(name, { message: "This connection has a namespace already" });
    }
    const refusal = refusals.get(claim);
    if (refusal !== undefined) return this.#refuseConnect(name, refusal);
    this.#memberships.asks(claim, name);
    this.#place.noteBusy();
    return readdressed(data, head, claim.namespace);
  }

  #refuseConnect(name: string, refusal: ConnectRefusal): undefined {
    this.#send("message", `${CONNECT_ERROR}${prefixOf(name)}${JSON.stringify(refusal)}`);
    return undefined;
  }

  /** By its client's wish or ours. */
  #left(claim: NamespaceClaim | undefined, namespace: string): void {
    if (claim === undefined) {
      if (!this.#memberships.leftOpen(namespace)) return;
    } else if (this.#memberships.isIn(claim)) {
      this.#memberships.leaves(claim);
      for (const peer of this.#peers) this.#bound(peer);
    } else return;
    this.#place.left();
  }

  #bound(peer: Peer): void {
    if (this.isInside) peer.letIn(this.limits);
    else peer.leftOut(this.limits);
  }

  /** What nobody claims is bounded by the connection's best standing. */
  #isMember(claim: NamespaceClaim | undefined): boolean {
    return claim === undefined ? this.isInside : this.#memberships.isIn(claim);
  }

  /** Undefined: Socket.IO hears nothing of it. */
  #refuse(
    data: string,
    head: PacketHead,
    claim: NamespaceClaim | undefined,
    code: number,
    reason: string,
  ): string | undefined {
    if (!this.#isMember(claim)) return this.#endSilently(code, reason);
    if (head.type === ACK || head.type === BINARY_ACK)
      return refusedAck(claim?.namespace ?? head.namespace, head.ackId);
    if (head.type !== EVENT) return this.#endSilently(code, reason);
    const event = head.ackId === "" ? undefined : eventName(data, head);
    const failure = event === undefined ? undefined : claim?.failureOf?.(event);
    if (failure === undefined) return undefined;
    this.#send("message", `${ACK}${prefixOf(head.namespace)}${head.ackId}${JSON.stringify([failure])}`);
    return undefined;
  }

  #endSilently(code: number, reason: string): undefined {
    this.end(code, reason);
    return undefined;
  }

  #attachment(packet: EnginePacket, data: Buffer): void {
    const { limits, address } = this.parts;
    const { onward, heldBytes, isTooLarge, refusedBytes } = this.#attachments.take(packet, data);
    if (isTooLarge === true) this.end(1009, "message too large");
    limits.arriving.set(this, heldBytes, () => this.drop());
    if (this.#isEnded) return;
    if (refusedBytes !== undefined) limits.bounds.refused("value-size", { address, bytes: refusedBytes });
    for (const whole of onward) this.#onward(whole);
  }

  #leaves(type: string, data: unknown): void {
    if (type !== "message" || typeof data !== "string") {
      this.#send(type, data);
      return;
    }
    // A long one may be in parts still: a look at it would join them.
    if (data.length <= MAX_DECISION && DECISIONS.has(data.charAt(0))) this.#decided(data);
    const { renamed } = this.#memberships;
    const text = renamed === undefined ? data : addressedTo(data, renamed.name, renamed.namespace);
    if (!saidAtOnce(this.#connection, text)) this.#send(type, text);
  }

  /** Reads Socket.IO's decision from its own packet. */
  #decided(data: string): void {
    const head = packetHead(data);
    if (head === undefined) return;
    const { type, namespace } = head;
    const claim = this.parts.claims.of(namespace);
    if (type === DISCONNECT) this.#left(claim, namespace);
    else if (claim === undefined) {
      if (type !== CONNECT) return;
      // Let in where no proof is asked for: a stranger still.
      this.#memberships.joinedOpen(namespace);
      this.#place.noteBusy();
    } else if (this.#memberships.of(claim).phase !== "asking") return;
    else if (type === CONNECT_ERROR) {
      this.#memberships.answered(claim, "outside");
      this.#place.noteBusy();
    } else this.#letIn(claim);
  }

  #letIn(claim: NamespaceClaim): void {
    this.#memberships.answered(claim, "inside");
    this.#connects = 0;
    this.#place.letIn();
    for (const peer of this.#peers) this.#bound(peer);
  }

  #closed(): void {
    this.#isEnded = true;
    this.#place.closed();
    this.parts.limits.arriving.forget(this);
    this.#peers.clear();
    this.posting?.();
  }
}

/** Far more than Socket.IO says of a namespace. */
const MAX_DECISION = 1024 * 1024;
const DECISIONS: ReadonlySet<string> = new Set([CONNECT, CONNECT_ERROR, DISCONNECT]);

/** In Socket.IO's own words. */
const NO_NAMESPACE: ConnectRefusal = { message: "Invalid namespace" };

const maxAckBytes = ({ limits }: NamespaceClaim): number => limits.maxAckBytes ?? limits.maxMessageBytes;

const refusedAck = (namespace: string, ackId: string): string =>
  `${ACK}${prefixOf(namespace)}${ackId}${JSON.stringify([REFUSED_ACK])}`;

/** In UTF-8. A UTF-16 unit is one to three bytes. */
const isLonger = (text: string, bytes: number): boolean =>
  text.length * 3 > bytes && (text.length > bytes || Buffer.byteLength(text) > bytes);
