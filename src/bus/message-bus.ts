// The way between nodes, the same over every backend. Every engine keeps the same promises: what one node publishes arrives at every
// subscriber of every node, the publisher's own included, in the publisher's order, at least once. The bus contract, which comments
// here cite by its sections, is sections 5.1, 6.2, 9 to 11 and 16 of docs/protocols/frames.md.

export interface BusMessage {
  readonly topic: string;
  readonly bytes: Uint8Array;
  /** The backend's number of this write: equal for a repeated delivery, different for every other write. */
  readonly revision: string;
}

/** Called inside the engine's loop; must not block. What it throws is logged and stops no other listener. */
export type BusListener = (message: BusMessage) => void;

export interface SubscribeOptions {
  /** Ends the subscription. */
  readonly signal?: AbortSignal;
  /** Called once when it ends. */
  readonly onEnd?: () => void;
}

export interface Subscription {
  end(): void;
}

export interface MessageBus {
  /** Label of metrics and logs. */
  readonly engine: string;
  /** Resolves when this node hears the others for the first time. Never rejects. */
  readonly ready: Promise<void>;
  /** False while the backend is away. */
  readonly connected: boolean;
  readonly presence: PresenceBoard;
  /**
   * Resolves when the backend accepted the write. Publishes of one node keep the order of their calls.
   * @throws TopicEmptyError, BusClosedError, PublishFailedError, or the signal's reason.
   */
  publish(topic: string, bytes: Uint8Array, signal?: AbortSignal): Promise<void>;
  /**
   * From now on; nothing older is heard. The topic may be `room/*` or `topic/*`, every topic under that prefix.
   * @throws TopicEmptyError, BusClosedError.
   */
  subscribe(topic: string, listener: BusListener, options?: SubscribeOptions): Subscription;
  /** Ends every subscription of this node to exactly this topic. @throws TopicEmptyError. */
  unsubscribe(topic: string): void;
  /** Where the engine also keeps values that operators write. */
  readonly values?: ValueBoard;
  /** Idempotent; ends all subscriptions. Publishes that wait are finished first, within a second. */
  close(): Promise<void>;
}

/** Which node holds which client. An entry vanishes by itself when its node dies (30 s). */
export interface PresenceBoard {
  set(client: string, node: string): Promise<void>;
  /** Removes the entry if it is still this node's. */
  clear(client: string, node: string): Promise<void>;
  find(client: string): Promise<string | undefined>;
}

/** Single values, beside the messages. */
export interface ValueBoard {
  /** Told what it is now, and each change, in order; what lies between two changes may be left out. Never throws. */
  watchValue(key: string, hooks: ValueHooks): WatchedValue;
}

export interface ValueHooks {
  /** Undefined: there is no such key. */
  value(bytes: Uint8Array | undefined): void;
  /** The backend does not answer. Told once for each time. */
  lost(): void;
  back(): void;
}

export interface WatchedValue {
  close(): Promise<void>;
}

/** What engines count; label `bus` is the engine (bus contract, section 16). */
export interface BusCounters {
  publishError(): void;
  /** Messages were lost: the backend no longer had the history to resume from. */
  gap(): void;
  duplicate(): void;
  reconnect(): void;
}
