// The memory engine: nodes of one process hear each other, in order, without a backend. Each node joins one exchange.
import type { Logger } from "pino";
import { requireTopic } from "./bus-topic.ts";
import { BusClosedError } from "./errors.ts";
import type {
  BusListener,
  MessageBus,
  PresenceBoard,
  SubscribeOptions,
  Subscription,
} from "./message-bus.ts";
import { Subscribers } from "./subscribers.ts";

/** What etcd is to its engine: the place where nodes meet. */
export class MemoryExchange {
  readonly #nodes = new Set<Subscribers>();
  readonly #present = new Map<string, string>();
  #revision = 0;

  join(log: Logger): MessageBus {
    const subscribers = new Subscribers(log);
    this.#nodes.add(subscribers);
    return new MemoryBus(this, subscribers, () => this.#nodes.delete(subscribers));
  }

  publish(topic: string, bytes: Uint8Array): void {
    const message = { topic, bytes, revision: String(++this.#revision) };
    for (const node of [...this.#nodes]) node.deliver(message);
  }

  readonly presence: PresenceBoard = {
    set: async (client, node) => {
      this.#present.set(client, node);
    },
    clear: async (client, node) => {
      if (this.#present.get(client) === node) this.#present.delete(client);
    },
    find: async (client) => this.#present.get(client),
  };
}

class MemoryBus implements MessageBus {
  readonly engine = "memory";
  readonly ready = Promise.resolve();
  #open = true;

  constructor(
    private readonly exchange: MemoryExchange,
    private readonly subscribers: Subscribers,
    private readonly leave: () => void,
  ) {}

  get connected(): boolean {
    return this.#open;
  }

  get presence(): PresenceBoard {
    return this.exchange.presence;
  }

  async publish(topic: string, bytes: Uint8Array, signal?: AbortSignal): Promise<void> {
    requireTopic(topic);
    if (!this.#open) throw new BusClosedError();
    signal?.throwIfAborted();
    this.exchange.publish(topic, bytes);
  }

  subscribe(topic: string, listener: BusListener, options?: SubscribeOptions): Subscription {
    requireTopic(topic);
    if (!this.#open) throw new BusClosedError();
    return this.subscribers.add(topic, listener, options);
  }

  unsubscribe(topic: string): void {
    requireTopic(topic);
    this.subscribers.end(topic);
  }

  async close(): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    this.leave();
    this.subscribers.endAll();
  }
}
