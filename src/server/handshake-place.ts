// The place among the handshakes that one Socket.IO connection holds while it is let in nowhere, and the time that it has to be.
import type { Handshakes, Place } from "../limits/handshakes.ts";
import type { Memberships } from "./memberships.ts";

export interface HandshakePlaceParts {
  readonly place: Place;
  readonly memberships: Memberships;
  readonly handshakes: Handshakes;
  readonly address: string;
  readonly isWebSocket: () => boolean;
  /** Of a connection that has left where it was. Socket.IO itself looks only once, after the transport was opened. */
  readonly connectTimeoutMs: number;
  /** Ends the connection without waiting for its client. */
  readonly drop: () => void;
}

export class HandshakePlace {
  #place: Place | undefined;
  #timer: Timer | undefined;

  constructor(private readonly parts: HandshakePlaceParts) {
    this.#hold(parts.place);
  }

  /** What the client is asking for, or joined without proof, has changed. */
  noteBusy(): void {
    if (this.#place !== undefined) this.#place.isBusy = this.parts.memberships.isBusy;
  }

  /** Somewhere, where proof is asked for: no place is needed. */
  letIn(): void {
    this.#free();
  }

  /** The client has left a namespace, and has to be in one again in time. */
  left(): void {
    const { memberships, handshakes, address, isWebSocket, connectTimeoutMs, drop } = this.parts;
    if (!memberships.isInside && this.#place === undefined)
      this.#hold(handshakes.reenter({ address, isWebSocket: isWebSocket() }));
    this.noteBusy();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      if (!memberships.isAnywhere) drop();
    }, connectTimeoutMs);
  }

  closed(): void {
    this.#free();
  }

  #hold(place: Place): void {
    this.#place = place;
    place.end = this.parts.drop;
  }

  #free(): void {
    clearTimeout(this.#timer);
    this.#place?.leave();
    this.#place = undefined;
  }
}
