// What happened in the hub, for server code that listens (frames contract, section 17). Listeners run after the change; one that throws
// is logged and stops no other.
import type { Logger } from "pino";
import type { Claims } from "./identity.ts";

export type HubEventType =
  | "client_connected"
  | "client_disconnected"
  | "client_message"
  | "client_error"
  | "room_created"
  | "room_deleted"
  | "room_joined"
  | "room_left"
  | "room_message";

export interface HubEvent {
  readonly type: HubEventType;
  readonly clientId?: string | undefined;
  readonly roomId?: string;
  readonly message?: unknown;
  /** Epoch milliseconds. */
  readonly time: number;
  readonly claims?: Claims | undefined;
  /** Of a disconnection: `code` and `reason`; of an error: `error`. */
  readonly extra?: Readonly<Record<string, unknown>>;
}

export type HubListener = (event: HubEvent) => void;

export class HubEvents {
  readonly #listeners = new Map<HubEventType, Set<HubListener>>();

  constructor(
    private readonly log: Logger,
    private readonly now: () => number,
  ) {}

  on(type: HubEventType, listener: HubListener): void {
    const listeners = this.#listeners.get(type) ?? new Set();
    this.#listeners.set(type, listeners.add(listener));
  }

  /** The very function that was given to `on`. */
  off(type: HubEventType, listener: HubListener): void {
    this.#listeners.get(type)?.delete(listener);
  }

  /** Costs nothing while there is no listener. */
  emit(type: HubEventType, facts: Omit<HubEvent, "type" | "time">): void {
    const listeners = this.#listeners.get(type);
    if (listeners === undefined || listeners.size === 0) return;
    const event = { type, ...facts, time: this.now() };
    for (const listener of [...listeners]) {
      try {
        listener(event);
      } catch (error) {
        this.log.error({ err: error, event: type }, "a listener of hub events failed");
      }
    }
  }
}
