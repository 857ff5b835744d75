// Frames into the queues of this node's clients, at once and in order. What a client does not get is counted, affects no other client,
// and ends the client only where the setting says so (frames contract 5.2).
import type { Payload } from "../bus/envelope.ts";
import { type Client, closeReasons } from "./client.ts";
import { ClientClosedError, SendBufferFullError } from "./errors.ts";
import type { BroadcastResult, Frame } from "./frame.ts";
import type { HubSettings } from "./hub-settings.ts";
import { DROPPED_CLOSED, DROPPED_FULL, type HubMetrics } from "./metrics.ts";
import type { Offer } from "./outbox.ts";
import { QueuedFrame } from "./queued-frame.ts";

export type Delivered = Pick<BroadcastResult, "local" | "dropped">;

export class Delivery {
  constructor(
    private readonly metrics: Pick<HubMetrics, "dropped">,
    private readonly settings: Pick<HubSettings, "onFull">,
  ) {}

  /** @throws SendBufferFullError, ClientClosedError */
  toOne(client: Client, frame: Frame): void {
    const offer = client.offer(new QueuedFrame(frame));
    if (offer === "queued") return;
    this.#dropped(client, offer);
    throw offer === "full" ? new SendBufferFullError() : new ClientClosedError();
  }

  /** One value for all of them, however many wait for it. */
  toEach(clients: Iterable<Client>, data: Payload): Delivered {
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

  #dropped(client: Client, offer: Exclude<Offer, "queued">): void {
    const full = offer === "full";
    this.metrics.dropped.add(1, full ? DROPPED_FULL : DROPPED_CLOSED);
    if (full && this.settings.onFull === "disconnect") client.shutdown(closeReasons.slow);
  }
}
