// The hub's line to the other nodes of its cluster: what leaves for them, what comes from them, and, with presence, which of them has
// a client (frames contract 6.2 and 9). A node that is alone has no such line.
import type { Logger } from "pino";
import type { Cluster } from "../bus/cluster.ts";
import type { Payload } from "../bus/envelope.ts";
import type { MessageBus, Subscription } from "../bus/message-bus.ts";
import { BusNode } from "../bus/node.ts";
import { BROADCAST, EVERY_ROOM, roomOfTopic, roomTopic, unicastTopic } from "./bus-addresses.ts";
import { BusQueue } from "./bus-queue.ts";
import type { Client } from "./client.ts";
import type { QueueBudget } from "./queue-budget.ts";

/** This node's clients as messages of other nodes reach them: at once, in the bus's loop. */
export interface LocalClients {
  has(id: string): boolean;
  deliver(client: Client, payload: Payload): void;
  deliverToAll(payload: Payload): void;
  deliverToRoom(roomId: string, payload: Payload, exclude: string | undefined): void;
}

export interface OtherNodesParts {
  readonly cluster: Cluster;
  readonly local: LocalClients;
  readonly budget: QueueBudget;
  /** Whether nodes tell each other which clients they have. */
  readonly presence: boolean;
  /** A message did not leave because too many wait for the bus. */
  readonly onFull: () => void;
  readonly log: Logger;
}

export class OtherNodes {
  readonly #node: BusNode;
  readonly #queue: BusQueue;
  /** What each client of this node hears from other nodes. */
  readonly #unicast = new Map<Client, Subscription>();

  constructor(private readonly parts: OtherNodesParts) {
    const { cluster, local, budget, onFull, log } = parts;
    this.#node = new BusNode({ ...cluster, log });
    this.#queue = new BusQueue(this.#node, budget, onFull);
    this.#node.listen(BROADCAST, ({ payload }) => local.deliverToAll(payload));
    this.#node.listen(EVERY_ROOM, ({ topic, payload, exclude }) =>
      local.deliverToRoom(roomOfTopic(topic), payload, exclude),
    );
  }

  get bus(): MessageBus {
    return this.#node.bus;
  }

  /** A client of this node hears what is sent to its id from now on; with presence the other nodes learn of it a moment later. */
  connected(client: Client): void {
    const { local, presence, log } = this.parts;
    const subscription = this.#node.listen(unicastTopic(client.id), ({ payload }) =>
      local.deliver(client, payload),
    );
    this.#unicast.set(client, subscription);
    if (presence)
      this.bus.presence.set(client.id, this.#node.id).catch((error: unknown) => {
        log.warn({ err: error }, "the other nodes could not be told of a client");
      });
  }

  disconnected(client: Client): void {
    this.#unicast.get(client)?.end();
    this.#unicast.delete(client);
    const { local, presence, log } = this.parts;
    if (!presence) return;
    // Another connection of this node may have taken the id by then; a replacement writes it again anyway.
    queueMicrotask(() => {
      if (local.has(client.id)) return;
      this.bus.presence.clear(client.id, this.#node.id).catch((error: unknown) => {
        log.debug({ err: error }, "a client's presence could not be cleared; it expires by itself");
      });
    });
  }

  /** True when the bus took it, and, with presence, another node has the client. Never rejects, as the two below. */
  push(clientId: string, payload: Payload): Promise<boolean> {
    const topic = unicastTopic(clientId);
    const message = { kind: "unicast", payload } as const;
    return this.parts.presence
      ? this.#queue.publishIf(() => this.#isElsewhere(clientId), topic, message)
      : this.#queue.publish(topic, message);
  }

  broadcast(payload: Payload): Promise<boolean> {
    return this.#queue.publish(BROADCAST, { kind: "broadcast", payload });
  }

  broadcastToRoom(roomId: string, payload: Payload, exclude: string | undefined): Promise<boolean> {
    return this.#queue.publish(roomTopic(roomId), { kind: "room", payload, roomId, exclude });
  }

  /** The bus stays open: others of this process use it. */
  close(): void {
    this.#node.close();
  }

  async #isElsewhere(clientId: string): Promise<boolean> {
    try {
      const holder = await this.bus.presence.find(clientId);
      return holder !== undefined && holder !== this.#node.id;
    } catch (error) {
      this.parts.log.warn({ err: error }, "the presence of a client could not be read");
      return false;
    }
  }
}
