// The hub: who is connected here, and how a frame reaches one client, all, or a room, on this node and over the bus on the others.
// Exactly one copy per client and broadcast: local clients first, then the bus, whose echo is suppressed (frames contract, section 6).
// Nothing waits between finding a client and queueing its frame.
import type { Logger } from "pino";
import type { Cluster } from "../bus/cluster.ts";
import type { Payload } from "../bus/envelope.ts";
import type { MessageBus } from "../bus/message-bus.ts";
import { BusNode, type Incoming } from "../bus/node.ts";
import { BROADCAST, roomTopic, unicastTopic } from "../bus/topics.ts";
import type { Bounds } from "../limits/bounds.ts";
import type { MemoryCeiling } from "../limits/memory-ceiling.ts";
import { Allowance, type Verdict } from "./allowance.ts";
import { BusQueue } from "./bus-queue.ts";
import { Client, type CloseReason, type Connection, closeReasons } from "./client.ts";
import type { Dispatcher } from "./dispatcher.ts";
import { EndOfTurn } from "./end-of-turn.ts";
import {
  ClientClosedError,
  ClientNotFoundError,
  errorCodes,
  RoomNotFoundError,
  SendBufferFullError,
} from "./errors.ts";
import { HubEvents } from "./events.ts";
import type { BroadcastResult, Frame } from "./frame.ts";
import type { HubSettings } from "./hub-settings.ts";
import type { Identity } from "./identity.ts";
import { MessageRouter } from "./message-router.ts";
import { DROPPED_CLOSED, DROPPED_FULL, type HubMetrics } from "./metrics.ts";
import type { Offer } from "./outbox.ts";
import { Pace } from "./pace.ts";
import { QueueBudget } from "./queue-budget.ts";
import { QueuedFrame } from "./queued-frame.ts";
import { Rooms } from "./rooms.ts";
import { type Share, Shares } from "./shares.ts";

export interface HubParts {
  readonly settings: HubSettings;
  /** Undefined: this node is alone. */
  readonly cluster?: Cluster | undefined;
  readonly dispatcher: Dispatcher;
  readonly metrics: HubMetrics;
  readonly limits: { readonly bounds: Bounds; readonly memory: MemoryCeiling };
  readonly log: Logger;
  /** Epoch milliseconds. */
  readonly now?: () => number;
}

/** A message to a room costs its sender one more for each so many members. */
const MEMBERS_A_MESSAGE = 200;

export class Hub {
  readonly settings: HubSettings;
  readonly metrics: HubMetrics;
  readonly events: HubEvents;
  readonly rooms: Rooms;
  readonly dispatcher: Dispatcher;
  readonly log: Logger;
  readonly now: () => number;
  readonly shares: Shares;
  readonly bounds: Bounds;
  readonly #budget: QueueBudget;
  readonly #clients = new Map<string, Client>();
  /** What a client hears from other nodes. */
  readonly #unicast = new Map<Client, { end(): void }>();
  readonly #turn = new EndOfTurn();
  readonly #pace = new Pace();
  readonly #router: MessageRouter;
  readonly #node: BusNode | undefined;
  readonly #departures: BusQueue | undefined;
  readonly #endReports: readonly (() => void)[];
  #closed = false;

  constructor({ settings, cluster, dispatcher, metrics, limits, log, now = Date.now }: HubParts) {
    this.settings = settings;
    this.metrics = metrics;
    this.dispatcher = dispatcher;
    this.log = log;
    this.now = now;
    this.events = new HubEvents(log, now);
    this.rooms = new Rooms(this.events, metrics, settings.autoCreateRooms);
    this.#router = new MessageRouter(this);
    this.shares = new Shares(settings);
    this.bounds = limits.bounds;
    this.#budget = new QueueBudget(
      () => settings.maxQueuedBytes,
      (closed, heldBytes) =>
        limits.bounds.refused("frames-queues", { closed, heldBytes, limitBytes: settings.maxQueuedBytes }),
    );
    this.#endReports = [
      metrics.connectedClients.report(() => this.#clients.size),
      metrics.queuedBytes.report(() => this.#budget.heldBytes),
      limits.memory.join({
        name: "frames hub",
        held: () => this.#budget.ownBytes,
        giveUp: () => this.#budget.giveUpSlowest(),
      }),
    ];
    if (cluster === undefined) return;
    this.#node = new BusNode({ ...cluster, log });
    this.#departures = new BusQueue(this.#node, this.#budget, () => {
      metrics.errors.add();
      limits.bounds.refused("frames-queues", { waitFor: "bus" });
    });
    this.#node.listen(BROADCAST, ({ payload }) => this.#deliver(this.#clients.values(), payload));
    this.#node.listen("room/*", (message) => this.#hearRoom(message));
  }

  /** Resolves when this node hears the others. */
  get ready(): Promise<void> {
    return this.#node?.bus.ready ?? Promise.resolve();
  }

  /** Undefined when this node is alone. */
  get bus(): MessageBus | undefined {
    return this.#node?.bus;
  }

  /** Clients of this node only. */
  get clientCount(): number {
    return this.#clients.size;
  }

  /** @throws ClientNotFoundError when it is not connected here. */
  getClient(id: string): Client {
    const client = this.#clients.get(id);
    if (client === undefined) throw new ClientNotFoundError();
    return client;
  }

  find(id: string): Client | undefined {
    return this.#clients.get(id);
  }

  /**
   * Takes a new client in, at once and completely: whatever happens to the connection next finds it registered. A connection with
   * the same id is replaced: whether it may be is decided before (Admission). Other nodes learn of it (presence) a moment later.
   */
  register(identity: Identity, connection: Connection, share: Share = this.#shareOf(identity)): Client {
    const { messageBufferCap, readTimeoutMs, writeTimeoutMs, serverPing, closeOnExpiry } = this.settings;
    this.#clients.get(identity.id)?.shutdown(closeReasons.replaced);
    const client = new Client({
      identity,
      connection,
      allowance: new Allowance(share, () => this.settings.maxMessagesPerSecond),
      turn: this.#turn,
      budget: this.#budget,
      pace: this.#pace,
      capacity: messageBufferCap,
      readTimeoutMs,
      writeTimeoutMs,
      serverPing,
      closeOnExpiry,
      onMessage: (from, frame) => this.#router.route(from, frame),
      onSent: () => this.metrics.messagesOut.add(),
      onShutdown: (gone) => this.#forget(gone),
      onEnded: (gone, reason) => this.#ended(gone, reason),
    });
    this.#clients.set(client.id, client);
    if (this.#node !== undefined) {
      const subscription = this.#node.listen(unicastTopic(client.id), ({ payload }) =>
        this.#deliver([client], payload),
      );
      this.#unicast.set(client, subscription);
      if (this.settings.presence) this.#present(client, this.#node);
    }
    this.metrics.connections.add();
    this.events.emit("client_connected", { clientId: client.id, claims: identity.claims });
    return client;
  }

  /** A message that arrived from the client. */
  receive(client: Client, frame: string | Uint8Array): void {
    this.metrics.messagesIn.add();
    this.metrics.messages.add();
    const bytes = typeof frame === "string" ? Buffer.byteLength(frame) : frame.byteLength;
    this.metrics.messageSize.observe(bytes);
    const verdict = client.allowance.take(bytes);
    if (verdict !== "allowed") this.#refuse(client, frame, verdict);
    else if (!client.receive(frame))
      this.#router.refuse(client, frame, errorCodes.rateLimited, "too many messages wait");
  }

  /**
   * To one client. Local: queued when this resolves. On another node: the bus took it, or, with presence, the client is there too.
   * @throws ClientNotFoundError, SendBufferFullError, ClientClosedError
   */
  async push(id: string, frame: Frame): Promise<void> {
    const client = this.#clients.get(id);
    if (client !== undefined) return this.#enqueue(client, frame);
    const departures = this.#departures;
    if (departures === undefined) throw new ClientNotFoundError();
    const topic = unicastTopic(id);
    const message = { kind: "unicast", payload: frame.data } as const;
    const taken = this.settings.presence
      ? departures.publishIf(() => this.#isElsewhere(id), topic, message)
      : departures.publish(topic, message);
    if (!(await taken)) throw new ClientNotFoundError();
    frame.ack?.();
  }

  /** To a client of this node, whatever becomes of it: what it does not get is counted. */
  deliver(client: Client, payload: Payload): void {
    this.#deliver([client], payload);
  }

  /** To every client of every node. A client whose queue is full does not get it, and affects nobody. */
  async broadcast(payload: Payload): Promise<BroadcastResult> {
    const result = this.#deliver(this.#clients.values(), payload);
    const published = (await this.#departures?.publish(BROADCAST, { kind: "broadcast", payload })) ?? false;
    return { ...result, published };
  }

  /** @throws RoomNotFoundError only when the room is unknown here and no other node could know it. */
  async broadcastToRoom(roomId: string, payload: Payload, exclude?: string): Promise<BroadcastResult> {
    if (!this.rooms.has(roomId) && this.#departures === undefined) throw new RoomNotFoundError();
    const result = this.#deliverToRoom(roomId, payload, exclude);
    this.metrics.roomMessages.add();
    this.events.emit("room_message", {
      roomId,
      message: payload,
      ...(exclude === undefined ? {} : { clientId: exclude }),
    });
    const message = { kind: "room", payload, roomId, ...(exclude === undefined ? {} : { exclude }) } as const;
    const published = (await this.#departures?.publish(roomTopic(roomId), message)) ?? false;
    return { ...result, published };
  }

  /** Every client hears that the server stops. The bus stays open: others of this process use it. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const client of [...this.#clients.values()]) client.shutdown(closeReasons.shutdown);
    this.#node?.close();
    this.rooms.close();
    for (const end of this.#endReports) end();
  }

  /** A member spoke to the room: it pays for what that costs. */
  chargeForRoom(client: Client, roomId: string): void {
    const more = Math.floor(this.rooms.size(roomId) / MEMBERS_A_MESSAGE);
    if (more > 0) client.allowance.spend(more);
  }

  /** For server code that brings its own connections: what it registers counts for its identity. */
  #shareOf({ id, subject }: Identity): Share {
    return this.shares.ofIdentity(subject ?? `client ${id}`);
  }

  #refuse(client: Client, frame: string | Uint8Array, verdict: Exclude<Verdict, "allowed">): void {
    const { maxMessagesPerSecond: limit } = this.settings;
    this.bounds.refused("frames-messages", { caller: client.allowance.caller, client: client.id, limit });
    if (verdict === "flood") client.shutdown(closeReasons.flooding);
    else if (verdict === "refused")
      this.#router.refuse(client, frame, errorCodes.rateLimited, "too many messages");
  }

  #enqueue(client: Client, frame: Frame): void {
    const offer = client.offer(new QueuedFrame(frame));
    if (offer === "queued") return;
    this.#dropped(client, offer);
    throw offer === "full" ? new SendBufferFullError() : new ClientClosedError();
  }

  #deliver(clients: Iterable<Client>, data: Payload): { local: number; dropped: number } {
    const frame = new QueuedFrame({ data });
    let local = 0;
    let dropped = 0;
    for (const client of clients) {
      const offer = client.offer(frame);
      if (offer === "queued") local++;
      else {
        dropped++;
        this.#dropped(client, offer);
      }
    }
    return { local, dropped };
  }

  #deliverToRoom(
    roomId: string,
    payload: Payload,
    exclude: string | undefined,
  ): { local: number; dropped: number } {
    const members = [...this.rooms.members(roomId)];
    return this.#deliver(
      exclude === undefined ? members : members.filter(({ id }) => id !== exclude),
      payload,
    );
  }

  #dropped(client: Client, offer: Exclude<Offer, "queued">): void {
    const full = offer === "full";
    this.metrics.dropped.add(1, full ? DROPPED_FULL : DROPPED_CLOSED);
    if (full && this.settings.onFull === "disconnect") client.shutdown(closeReasons.slow);
  }

  #hearRoom({ topic, payload, exclude }: Incoming): void {
    this.#deliverToRoom(topic.slice(roomTopic("").length), payload, exclude);
  }

  #forget(client: Client): void {
    this.rooms.leaveAll(client);
    // Its successor may already be here under the same id.
    if (this.#clients.get(client.id) === client) this.#clients.delete(client.id);
    this.#unicast.get(client)?.end();
    this.#unicast.delete(client);
    const node = this.#node;
    if (node === undefined || !this.settings.presence) return;
    // Another connection of this node may have taken the id by then; a replacement writes it again anyway.
    queueMicrotask(() => {
      if (this.#clients.has(client.id)) return;
      node.bus.presence.clear(client.id, node.id).catch((error: unknown) => {
        this.log.debug({ err: error }, "a client's presence could not be cleared; it expires by itself");
      });
    });
  }

  #ended(client: Client, { code, reason }: CloseReason): void {
    const { claims } = client.identity;
    this.events.emit("client_disconnected", { clientId: client.id, claims, extra: { code, reason } });
    this.metrics.disconnections.add();
  }

  #present(client: Client, node: BusNode): void {
    node.bus.presence.set(client.id, node.id).catch((error: unknown) => {
      this.log.warn({ err: error }, "the other nodes could not be told of a client");
    });
  }

  async #isElsewhere(id: string): Promise<boolean> {
    try {
      const holder = await this.#node?.bus.presence.find(id);
      return holder !== undefined && holder !== this.#node?.id;
    } catch (error) {
      this.log.warn({ err: error }, "the presence of a client could not be read");
      return false;
    }
  }
}
