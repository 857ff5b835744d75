// The hub: a frame of a client comes in at one place (`receive`) and leaves to one client, to a room or to all, on this node and over
// the bus on the others. Exactly one copy per client and broadcast: local clients first, then the bus, whose echo is suppressed
// (frames contract, section 6). Nothing waits between finding a client and queueing its frame.
import type { Logger } from "pino";
import type { Cluster } from "../bus/cluster.ts";
import type { Payload } from "../bus/envelope.ts";
import type { MessageBus } from "../bus/message-bus.ts";
import type { Bounds } from "../limits/bounds.ts";
import type { MemoryCeiling } from "../limits/memory-ceiling.ts";
import { EndOfTurn } from "../server/end-of-turn.ts";
import { Allowance, type Verdict } from "./allowance.ts";
import { Client, type CloseReason, type Connection, closeReasons } from "./client.ts";
import { Clients } from "./clients.ts";
import { type Delivered, Delivery } from "./delivery.ts";
import type { Dispatcher } from "./dispatcher.ts";
import { ClientNotFoundError, errorCodes, RoomNotFoundError } from "./errors.ts";
import { HubEvents } from "./events.ts";
import type { BroadcastResult, Frame } from "./frame.ts";
import type { HandlerHub } from "./handler.ts";
import type { HubSettings } from "./hub-settings.ts";
import type { Identity } from "./identity.ts";
import { MessageRouter } from "./message-router.ts";
import type { HubMetrics } from "./metrics.ts";
import { OtherNodes } from "./other-nodes.ts";
import { Pace } from "./pace.ts";
import { QueueBudget } from "./queue-budget.ts";
import { Rooms } from "./rooms.ts";
import type { Share, Shares } from "./shares.ts";

export interface HubParts {
  readonly settings: HubSettings;
  /** Undefined: this node is alone. */
  readonly cluster?: Cluster | undefined;
  readonly dispatcher: Dispatcher;
  readonly shares: Shares;
  readonly metrics: HubMetrics;
  readonly limits: { readonly bounds: Bounds; readonly memory: MemoryCeiling };
  readonly log: Logger;
  /** Epoch milliseconds. */
  readonly now?: () => number;
}

/** A message to a room costs its sender one more for each so many members. */
const MEMBERS_A_MESSAGE = 200;

export class Hub {
  readonly events: HubEvents;
  readonly rooms: Rooms;
  readonly dispatcher: Dispatcher;
  readonly #settings: HubSettings;
  readonly #metrics: HubMetrics;
  readonly #bounds: Bounds;
  readonly #shares: Shares;
  readonly #clients = new Clients();
  readonly #delivery: Delivery;
  readonly #router: MessageRouter;
  readonly #others: OtherNodes | undefined;
  readonly #turn: EndOfTurn;
  readonly #pace = new Pace();
  readonly #budget: QueueBudget;
  readonly #endReports: readonly (() => void)[];
  #closed = false;

  constructor({ settings, cluster, dispatcher, shares, metrics, limits, log, now = Date.now }: HubParts) {
    const { bounds, memory } = limits;
    this.#settings = settings;
    this.#metrics = metrics;
    this.#bounds = bounds;
    this.#shares = shares;
    this.dispatcher = dispatcher;
    this.#turn = new EndOfTurn((error) =>
      log.error({ err: error }, "the hub failed on what a client was to get"),
    );
    this.events = new HubEvents(log, now);
    this.rooms = new Rooms(this.events, metrics, settings.autoCreateRooms);
    this.#delivery = new Delivery(metrics, settings);
    this.#router = new MessageRouter({
      dispatcher,
      hub: this.#forHandlers(),
      answer: (client, text) => this.#delivery.toEach([client], text),
      errorReplies: settings.errorReplies,
      events: this.events,
      metrics,
      bounds,
      log,
      now,
    });
    this.#budget = new QueueBudget(
      () => settings.maxQueuedBytes,
      (closed, heldBytes) =>
        bounds.refused("frames-queues", { closed, heldBytes, limitBytes: settings.maxQueuedBytes }),
    );
    this.#endReports = [
      metrics.connectedClients.report(() => this.#clients.count),
      metrics.queuedBytes.report(() => this.#budget.heldBytes),
      memory.join({
        name: "frames hub",
        held: () => this.#budget.ownBytes,
        giveUp: () => this.#budget.giveUpSlowest(),
      }),
    ];
    if (cluster === undefined) return;
    this.#others = new OtherNodes({
      cluster,
      local: {
        has: (id) => this.#clients.has(id),
        deliver: (client, payload) => this.#delivery.toEach([client], payload),
        deliverToAll: (payload) => this.#delivery.toEach(this.#clients.all(), payload),
        deliverToRoom: (roomId, payload, exclude) => this.#deliverToRoom(roomId, payload, exclude),
      },
      budget: this.#budget,
      presence: settings.presence,
      onFull: () => {
        metrics.errors.add();
        bounds.refused("frames-queues", { waitFor: "bus" });
      },
      log,
    });
  }

  /** Resolves when this node hears the others. */
  get ready(): Promise<void> {
    return this.#others?.bus.ready ?? Promise.resolve();
  }

  /** Undefined when this node is alone. */
  get bus(): MessageBus | undefined {
    return this.#others?.bus;
  }

  /** Clients of this node only. */
  get clientCount(): number {
    return this.#clients.count;
  }

  /** @throws ClientNotFoundError when it is not connected here. */
  getClient(id: string): Client {
    return this.#clients.get(id);
  }

  find(id: string): Client | undefined {
    return this.#clients.find(id);
  }

  /**
   * Takes a new client in, at once and completely: what happens to the connection next finds it registered. A connection with the
   * same id is replaced: Admission decides before whether it may be. Other nodes learn of it (presence) a moment later. Server code
   * that brings its own connections gives no share: what it registers counts for the identity.
   */
  register(identity: Identity, connection: Connection, share: Share = this.#shareOf(identity)): Client {
    const { messageBufferCap, readTimeoutMs, writeTimeoutMs, serverPing, closeOnExpiry } = this.#settings;
    this.#clients.find(identity.id)?.shutdown(closeReasons.replaced);
    const client = new Client({
      identity,
      connection,
      allowance: new Allowance(share, () => this.#settings.maxMessagesPerSecond),
      turn: this.#turn,
      budget: this.#budget,
      pace: this.#pace,
      capacity: messageBufferCap,
      readTimeoutMs,
      writeTimeoutMs,
      serverPing,
      closeOnExpiry,
      handle: (from, frame) => this.#router.route(from, frame),
      onSent: () => this.#metrics.messagesOut.add(),
      onShutdown: (gone) => this.#forget(gone),
      onEnded: (gone, reason) => this.#ended(gone, reason),
    });
    this.#clients.add(client);
    this.#others?.connected(client);
    this.#metrics.connections.add();
    this.events.emit("client_connected", { clientId: client.id, claims: identity.claims });
    return client;
  }

  /**
   * The one way in for a frame that a client sent: counted, paid for, and, when it is its turn, routed to its handler, which answers
   * (MessageRouter). What the client may not send now is refused instead.
   */
  receive(client: Client, frame: string | Uint8Array): void {
    const bytes = typeof frame === "string" ? Buffer.byteLength(frame) : frame.byteLength;
    this.#metrics.messagesIn.add();
    this.#metrics.messages.add();
    this.#metrics.messageSize.observe(bytes);
    const verdict = client.allowance.take(bytes);
    if (verdict !== "allowed") this.#refuse(client, frame, verdict);
    else if (!client.accept(frame))
      this.#router.refuse(client, frame, errorCodes.rateLimited, "too many messages wait");
  }

  /**
   * To one client. Local: queued when this resolves. On another node: the bus took it, or, with presence, the client is there too.
   * @throws ClientNotFoundError, SendBufferFullError, ClientClosedError
   */
  async push(id: string, frame: Frame): Promise<void> {
    const client = this.#clients.find(id);
    if (client !== undefined) return this.#delivery.toOne(client, frame);
    if (this.#others === undefined || !(await this.#others.push(id, frame.data)))
      throw new ClientNotFoundError();
    frame.ack?.();
  }

  /** To every client of every node. A client whose queue is full does not get it, and affects no other. */
  async broadcast(payload: Payload): Promise<BroadcastResult> {
    const result = this.#delivery.toEach(this.#clients.all(), payload);
    const published = (await this.#others?.broadcast(payload)) ?? false;
    return { ...result, published };
  }

  /** @throws RoomNotFoundError only when the room is unknown here and no other node could know it. */
  async broadcastToRoom(roomId: string, payload: Payload, exclude?: string): Promise<BroadcastResult> {
    if (!this.rooms.has(roomId) && this.#others === undefined) throw new RoomNotFoundError();
    const result = this.#deliverToRoom(roomId, payload, exclude);
    this.#metrics.roomMessages.add();
    this.events.emit("room_message", { roomId, message: payload, clientId: exclude });
    const published = (await this.#others?.broadcastToRoom(roomId, payload, exclude)) ?? false;
    return { ...result, published };
  }

  /** Every client hears that the server stops. The bus stays open: others of this process use it. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const client of [...this.#clients.all()]) client.shutdown(closeReasons.shutdown);
    this.#others?.close();
    this.rooms.close();
    for (const end of this.#endReports) end();
  }

  #forHandlers(): HandlerHub {
    return {
      push: (id, frame) => this.push(id, frame),
      joinRoom: (client, roomId) => this.rooms.join(roomId, client),
      leaveRoom: (client, roomId) => this.rooms.leave(roomId, client),
      sendToRoom: (client, roomId, text) => {
        this.rooms.requireMember(roomId, client);
        const more = Math.floor(this.rooms.size(roomId) / MEMBERS_A_MESSAGE);
        if (more > 0) client.allowance.spend(more);
        // The client's next message need not wait until the bus took this one: their order is kept anyway.
        void this.broadcastToRoom(roomId, text, client.id);
      },
      observeLatency: (ms) => this.#metrics.messageLatency.observe(ms),
    };
  }

  #shareOf({ id, subject }: Identity): Share {
    return this.#shares.ofIdentity(subject ?? `client ${id}`);
  }

  #refuse(client: Client, frame: string | Uint8Array, verdict: Exclude<Verdict, "allowed">): void {
    const { maxMessagesPerSecond: limit } = this.#settings;
    this.#bounds.refused("frames-messages", { caller: client.allowance.caller, client: client.id, limit });
    if (verdict === "flood") client.shutdown(closeReasons.flooding);
    else if (verdict === "refused")
      this.#router.refuse(client, frame, errorCodes.rateLimited, "too many messages");
  }

  #deliverToRoom(roomId: string, payload: Payload, exclude: string | undefined): Delivered {
    const members = [...this.rooms.members(roomId)];
    return this.#delivery.toEach(
      exclude === undefined ? members : members.filter(({ id }) => id !== exclude),
      payload,
    );
  }

  #forget(client: Client): void {
    this.rooms.leaveAll(client);
    this.#clients.remove(client);
    this.#others?.disconnected(client);
  }

  #ended(client: Client, { code, reason }: CloseReason): void {
    const { claims } = client.identity;
    this.events.emit("client_disconnected", { clientId: client.id, claims, extra: { code, reason } });
    this.#metrics.disconnections.add();
  }
}
