// Tells web clients what happened, in the order of the commits, and what they missed when they come back.
//
// An event is numbered, kept and handed to every stream in one go. A stream that opens gets, also in one go: the first frame, what it
// missed through its own filter, and its place among the listeners. So nothing falls between the two, and nothing comes twice.
import type { EventFrame } from "../../http/event-frame.ts";
import type { EventReader } from "../../http/event-reader.ts";
import type { EventStreams } from "../../http/event-stream.ts";
import type { Limits } from "../../limits/limits.ts";
import type { Caller } from "../../server/caller.ts";
import type { RequestFacts } from "../../server/request-facts.ts";
import { viewText } from "../wire/message.ts";
import { Cursors } from "./cursor.ts";
import type { Events, HubEvent, Toast } from "./event.ts";
import { concerns, type Interest } from "./filter.ts";
import { Ring } from "./ring.ts";
import { type Subscription, type SubscriptionLimits, Subscriptions } from "./subscriptions.ts";

export interface BroadcasterParts {
  readonly streams: EventStreams;
  readonly limits: SubscriptionLimits;
  readonly shared: Pick<Limits, "bounds" | "addresses">;
  /** A web app drops a stream that was silent for 90 s, and looks from 45 s on (B1). */
  readonly heartbeatMs?: number;
  /** Wall clock. */
  readonly now?: () => number;
}

/** One request for events, let in and valid. */
export interface Opening extends Interest {
  readonly account: string;
  readonly isVisible: boolean;
  readonly cursor?: string | undefined;
  readonly facts: Pick<RequestFacts, "clientAddress" | "extendIdle"> & {
    readonly caller: Pick<Caller, "address" | "authenticated">;
  };
}

const HEARTBEAT_MS = 30_000;

export class Broadcaster implements Events {
  readonly #cursors = new Cursors();
  readonly #ring = new Ring();
  readonly #subscriptions: Subscriptions;
  #heartbeat: Timer | undefined;

  constructor(private readonly parts: BroadcasterParts) {
    this.#subscriptions = new Subscriptions(parts.limits, parts.shared);
  }

  get size(): number {
    return this.#subscriptions.size;
  }

  /** What is kept for those who come back, in bytes of text. */
  get keptBytes(): number {
    return this.#ring.bytes;
  }

  /** Keys that are held for open streams; 0 when none is open. */
  get keys(): number {
    return this.#subscriptions.keys;
  }

  broadcast(event: HubEvent): void {
    const text = jsonOf(event);
    const number = this.#ring.last + 1;
    const frame = this.#frame(text, this.#cursors.of(number, event.namespace));
    this.#ring.keep({ number, told: toldOf(event), frame });
    for (const subscription of this.#subscriptions.of(event.namespace))
      if (concerns(subscription, event)) subscription.reader.send(frame);
  }

  isLookedAt(namespace: string): boolean {
    for (const { isVisible, reader } of this.#subscriptions.of(namespace))
      if (isVisible && reader.isTaking) return true;
    return false;
  }

  toast(namespace: string, toast: Toast): number {
    let frame: EventFrame | undefined;
    let shown = 0;
    for (const { isVisible, reader } of this.#subscriptions.of(namespace)) {
      if (!isVisible) continue;
      frame ??= this.#frame(JSON.stringify({ type: "toast", data: toast }));
      // One that has stopped reading gets it, but nobody should rely on it.
      const isTaking = reader.isTaking;
      if (reader.send(frame) && isTaking) shown++;
    }
    return shown;
  }

  /** Undefined when as many streams are open as may be. */
  open(request: Request, opening: Opening): Response | undefined {
    if (!this.#hasRoom(opening)) return undefined;
    let subscription: Subscription | undefined;
    return this.parts.streams.open(request, opening.facts, {
      opened: (reader) => {
        // Others that were let in at the same time may have come before.
        if (this.#hasRoom(opening)) subscription = this.#subscribe(reader, opening);
        else reader.end();
      },
      ended: () => {
        if (subscription !== undefined) this.#leave(subscription);
      },
    });
  }

  /** False when the namespace has no such stream. */
  show(namespace: string, id: string, isVisible: boolean): boolean {
    return this.#subscriptions.show(namespace, id, isVisible);
  }

  /** Every stream ends as it should; clients come back to whoever is there then. */
  close(): void {
    this.parts.streams.close();
    this.#rest();
  }

  #hasRoom({ namespace, account, facts: { caller } }: Opening): boolean {
    return this.#subscriptions.hasRoom({ namespace, account, caller });
  }

  #subscribe(reader: EventReader, opening: Opening): Subscription {
    const { namespace, all, sessionId, machineId, account, isVisible, cursor, facts } = opening;
    const id = crypto.randomUUID();
    const { caller } = facts;
    const subscription = { id, namespace, all, sessionId, machineId, account, isVisible, caller, reader };
    const number = this.#cursors.numberIn(cursor, namespace);
    const missed = number === undefined ? undefined : this.#ring.after(number);
    const resume = missed === undefined ? "gap" : "ok";
    reader.send(
      this.#frame(
        JSON.stringify({
          type: "connection-changed",
          data: { status: "connected", subscriptionId: id, resume },
        }),
      ),
    );
    for (const { told, frame } of missed ?? []) if (concerns(opening, told)) reader.send(frame);
    this.#subscriptions.add(subscription);
    this.#heartbeat ??= this.#beating();
    return subscription;
  }

  #leave(subscription: Subscription): void {
    this.#subscriptions.remove(subscription);
    if (this.#subscriptions.size === 0) this.#rest();
  }

  #beating(): Timer {
    return setInterval(() => this.#beat(), this.parts.heartbeatMs ?? HEARTBEAT_MS).unref();
  }

  #rest(): void {
    clearInterval(this.#heartbeat);
    this.#heartbeat = undefined;
  }

  #beat(): void {
    this.parts.streams.closeStalled();
    const timestamp = (this.parts.now ?? Date.now)();
    for (const namespace of [...this.#subscriptions.namespaces()]) {
      const frame = this.#frame(JSON.stringify({ type: "heartbeat", namespace, data: { timestamp } }));
      for (const { reader, caller, account } of this.#subscriptions.of(namespace)) {
        reader.send(frame);
        // No request tells the door that an account is still behind the connection.
        caller.authenticated(account);
      }
    }
  }

  #frame(json: string, id?: string): EventFrame {
    return this.parts.streams.frame(id === undefined ? `data: ${json}\n\n` : `data: ${json}\nid: ${id}\n\n`);
  }
}

function jsonOf(event: HubEvent): string {
  if (event.type !== "message-received") return JSON.stringify(event);
  const { message, ...rest } = event;
  return `${JSON.stringify(rest).slice(0, -1)},"message":${viewText(message)}}`;
}

/** What is kept of an event beside its frame: not its content. */
function toldOf(event: HubEvent) {
  const { namespace } = event;
  return "sessionId" in event
    ? { namespace, sessionId: event.sessionId }
    : { namespace, machineId: event.machineId };
}
