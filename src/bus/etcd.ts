// The etcd engine: what one node publishes is a write below the key prefix, and one watch on that prefix hears the writes of all.
// While etcd is away publishing fails at once and the watch comes back by itself.
import type { Logger } from "pino";
import { keyOfTopic, requireTopic, topicOfKey } from "./bus-topic.ts";
import { BusClosedError } from "./errors.ts";
import { EtcdGateway, type EtcdSettings } from "./etcd/gateway.ts";
import { EtcdPresence } from "./etcd/presence.ts";
import { EtcdPublisher } from "./etcd/publisher.ts";
import { EtcdValueWatch } from "./etcd/value-watch.ts";
import { EtcdWatch } from "./etcd/watch.ts";
import type {
  BusCounters,
  BusListener,
  MessageBus,
  PresenceBoard,
  SubscribeOptions,
  Subscription,
  ValueBoard,
} from "./message-bus.ts";
import { Subscribers } from "./subscribers.ts";

export interface EtcdBusSettings extends EtcdSettings {
  readonly keyPrefix: string;
  readonly leaseSeconds: number;
  /** How often a silent watch is checked; 10 s. */
  readonly probeMs?: number | undefined;
}

/** Messages that were accepted for publishing get this long at a close. */
const FLUSH_MS = 1_000;

export class EtcdBus implements MessageBus {
  readonly engine = "etcd";
  readonly ready: Promise<void>;
  readonly presence: PresenceBoard;
  readonly values: ValueBoard;
  readonly #prefix: string;
  readonly #subscribers: Subscribers;
  readonly #publisher: EtcdPublisher;
  readonly #presence: EtcdPresence;
  readonly #watch: EtcdWatch;
  #connected = false;
  #closing: Promise<void> | undefined;

  constructor(settings: EtcdBusSettings, counters: BusCounters, log: Logger) {
    const { keyPrefix, leaseSeconds, probeMs } = settings;
    this.#prefix = keyPrefix.replace(/\/+$/, "");
    this.#subscribers = new Subscribers(log);
    const gateway = new EtcdGateway(settings, log);
    this.#publisher = new EtcdPublisher(gateway, leaseSeconds);
    this.#presence = new EtcdPresence(gateway, this.#prefix, leaseSeconds, log);
    this.presence = this.#presence;
    this.values = { watchValue: (key, hooks) => new EtcdValueWatch({ gateway, key, hooks, probeMs }) };
    const first = Promise.withResolvers<void>();
    this.ready = first.promise;
    let lost = false;
    const hooks = {
      onPut: ({ key, value, revision }: { key: string; value: Buffer; revision: number }) => {
        const topic = topicOfKey(this.#prefix, key);
        // Most of what passes is for clients of other nodes.
        if (this.#subscribers.has(topic))
          this.#subscribers.deliver({ topic, bytes: value, revision: String(revision) });
      },
      onConnected: () => {
        this.#connected = true;
        if (lost) {
          lost = false;
          counters.reconnect();
          log.info("the bus is back");
        }
        first.resolve();
      },
      onLost: () => {
        this.#connected = false;
        lost = true;
      },
      onGap: () => counters.gap(),
    };
    this.#watch = new EtcdWatch({ gateway, prefix: `${this.#prefix}/`, hooks, log, probeMs });
  }

  get connected(): boolean {
    return this.#connected;
  }

  async publish(topic: string, bytes: Uint8Array, signal?: AbortSignal): Promise<void> {
    requireTopic(topic);
    if (this.#closing !== undefined) throw new BusClosedError();
    await this.#publisher.put(keyOfTopic(this.#prefix, topic), bytes, signal);
  }

  subscribe(topic: string, listener: BusListener, options?: SubscribeOptions): Subscription {
    requireTopic(topic);
    if (this.#closing !== undefined) throw new BusClosedError();
    return this.#subscribers.add(topic, listener, options);
  }

  unsubscribe(topic: string): void {
    requireTopic(topic);
    this.#subscribers.end(topic);
  }

  close(): Promise<void> {
    this.#closing ??= (async () => {
      await this.#publisher.close(FLUSH_MS);
      await Promise.all([this.#watch.close(), this.#presence.close()]);
      this.#connected = false;
      this.#subscribers.endAll();
    })();
    return this.#closing;
  }
}
