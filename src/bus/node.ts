// One speaker on the bus: gives its messages ids, never hears itself, and hears every other one exactly once, however often the
// backend delivers (bus contract, section 11). Two speakers of one process are two nodes.
import { hostname } from "node:os";
import type { Logger } from "pino";
import type { Cluster } from "./cluster.ts";
import {
  decodeEnvelope,
  type Envelope,
  type EnvelopeKind,
  encodeEnvelope,
  type Payload,
} from "./envelope.ts";
import type { BusMessage, MessageBus, Subscription } from "./message-bus.ts";
import { RecentIds } from "./recent-ids.ts";

export interface Outgoing {
  readonly kind: EnvelopeKind;
  readonly payload: Payload;
  readonly roomId?: string | undefined;
  readonly exclude?: string | undefined;
}

export interface Incoming {
  readonly topic: string;
  readonly payload: Payload;
  readonly exclude: string | undefined;
}

export interface BusNodeParts extends Cluster {
  readonly log: Logger;
}

/** One warning a second is enough while the bus is away; the next one says how many were left out. */
const WARN_EVERY_MS = 1_000;

export class BusNode {
  readonly id = nextNodeId();
  readonly #seen = new RecentIds();
  readonly #subscriptions = new Set<Subscription>();
  #sequence = 0;
  #warnedAt = Number.NEGATIVE_INFINITY;
  #unwarned = 0;

  constructor(private readonly parts: BusNodeParts) {}

  get bus(): MessageBus {
    return this.parts.bus;
  }

  /**
   * False, after a warning, when the bus did not take it; never rejects. It is queued before this returns, so that calls keep
   * their order.
   */
  async publish(topic: string, { kind, payload, roomId, exclude }: Outgoing): Promise<boolean> {
    const id = { nodeId: this.id, timestamp: nanoseconds(), sequence: ++this.#sequence };
    const envelope: Envelope = { id, kind, roomId, exclude, payload, sentAt: Date.now() };
    const abort = new AbortController();
    const timer = setTimeout(
      () => abort.abort(new Error("the bus did not answer in time")),
      this.parts.timeoutMs,
    );
    try {
      await this.parts.bus.publish(topic, encodeEnvelope(envelope), abort.signal);
      return true;
    } catch (error) {
      this.parts.counters.publishError();
      this.#warn(topic, error);
      return false;
    } finally {
      clearTimeout(timer);
    }
  }

  /** The listener hears each message of other nodes once, synchronously in the bus's loop. */
  listen(topic: string, listener: (message: Incoming) => void): Subscription {
    const inner = this.parts.bus.subscribe(
      topic,
      (message) => {
        const incoming = this.#open(message);
        if (incoming !== undefined) listener(incoming);
      },
      { onEnd: () => this.#subscriptions.delete(inner) },
    );
    this.#subscriptions.add(inner);
    return inner;
  }

  /** Leaves the bus open: others of this process speak on it too. */
  close(): void {
    for (const subscription of [...this.#subscriptions]) subscription.end();
    this.#seen.close();
  }

  #open({ topic, bytes, revision }: BusMessage): Incoming | undefined {
    const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString();
    const envelope = decodeEnvelope(text);
    // Its own messages are known by its name, which stays true however late they echo.
    if (envelope?.id.nodeId === this.id) return undefined;
    const key =
      envelope === undefined
        ? `${Bun.hash.crc32(bytes).toString(16).padStart(8, "0")}-${revision}`
        : `${envelope.id.nodeId}-${envelope.id.timestamp}-${envelope.id.sequence}`;
    if (!this.#seen.first(key)) {
      this.parts.counters.duplicate();
      return undefined;
    }
    return { topic, payload: envelope?.payload ?? text, exclude: envelope?.exclude };
  }

  #warn(topic: string, error: unknown): void {
    const now = performance.now();
    if (now - this.#warnedAt < WARN_EVERY_MS) {
      this.#unwarned++;
      return;
    }
    this.parts.log.warn(
      { topic, err: error, unreported: this.#unwarned },
      "the bus did not take a message; only clients of this node hear it",
    );
    this.#warnedAt = now;
    this.#unwarned = 0;
  }
}

let nodes = 0;

/** Host, process and moment in hex; the count keeps two nodes of one process apart. */
function nextNodeId(): string {
  const started = BigInt(Math.round(performance.timeOrigin)) * 1_000_000n;
  return `${hostname()}-${process.pid}-${(started + BigInt(nodes++)).toString(16)}`;
}

function nanoseconds(): string {
  return `${BigInt(Date.now()) * 1_000_000n}`;
}
