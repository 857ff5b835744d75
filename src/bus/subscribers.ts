// Who on this node listens to which topic. Every subscriber of a topic hears every message; one that throws stops no other.
import type { Logger } from "pino";
import { requireTopic, wildcardPrefix } from "./bus-topic.ts";
import type { BusListener, BusMessage, SubscribeOptions, Subscription } from "./message-bus.ts";

interface Subscriber {
  readonly listener: BusListener;
  end(): void;
}

export class Subscribers {
  readonly #byTopic = new Map<string, Set<Subscriber>>();
  /** Topics that end in a star, by the prefix they stand for. */
  readonly #wildcards = new Map<string, string>();

  constructor(private readonly log: Logger) {}

  /** @throws TopicEmptyError */
  add(topic: string, listener: BusListener, { signal, onEnd }: SubscribeOptions = {}): Subscription {
    requireTopic(topic);
    const group = this.#byTopic.get(topic) ?? new Set();
    const subscriber: Subscriber = {
      listener,
      end: () => {
        if (!group.delete(subscriber)) return;
        signal?.removeEventListener("abort", subscriber.end);
        if (group.size === 0 && this.#byTopic.get(topic) === group) this.#forget(topic);
        onEnd?.();
      },
    };
    group.add(subscriber);
    this.#byTopic.set(topic, group);
    const prefix = wildcardPrefix(topic);
    if (prefix !== undefined) this.#wildcards.set(prefix, topic);
    if (signal?.aborted) subscriber.end();
    else signal?.addEventListener("abort", subscriber.end, { once: true });
    return { end: subscriber.end };
  }

  /** Cheap for a topic without a listener here, such as another node's client. */
  has(topic: string): boolean {
    return this.#byTopic.has(topic) || this.#wildcardOf(topic) !== undefined;
  }

  deliver(message: BusMessage): void {
    this.#deliverTo(message.topic, message);
    const wildcard = this.#wildcardOf(message.topic);
    if (wildcard !== undefined) this.#deliverTo(wildcard, message);
  }

  end(topic: string): void {
    for (const subscriber of [...(this.#byTopic.get(topic) ?? [])]) subscriber.end();
  }

  endAll(): void {
    for (const topic of [...this.#byTopic.keys()]) this.end(topic);
  }

  #deliverTo(topic: string, message: BusMessage): void {
    const group = this.#byTopic.get(topic);
    if (group === undefined) return;
    for (const { listener } of [...group]) {
      try {
        listener(message);
      } catch (error) {
        this.log.error({ err: error, topic }, "a subscriber of the bus failed");
      }
    }
  }

  #wildcardOf(topic: string): string | undefined {
    if (this.#wildcards.size === 0) return undefined;
    const slash = topic.indexOf("/");
    return slash < 0 ? undefined : this.#wildcards.get(topic.slice(0, slash + 1));
  }

  #forget(topic: string): void {
    this.#byTopic.delete(topic);
    const prefix = wildcardPrefix(topic);
    if (prefix !== undefined) this.#wildcards.delete(prefix);
  }
}
