// Notices a client that is silently gone (frames contract, section 8): by inbound traffic only, because a dead peer that is being
// broadcast to looks busy. One timer a client, set anew only when it fires.

export interface HeartbeatParts {
  /** Silence that ends the connection. */
  readonly readTimeoutMs: number;
  /** Called once after half of it; undefined: the client alone has to keep talking. */
  readonly ping: (() => void) | undefined;
  readonly onSilent: () => void;
}

/** A peer that lives answers sooner, also over a bad network. */
const PROBE_MS = 15_000;

export class Heartbeat {
  #probe: Timer | undefined;
  #heardAt = performance.now();
  /** The silence for which the client was already asked. */
  #pingedFor = Number.NaN;
  #timer: Timer;

  constructor(private readonly parts: HeartbeatParts) {
    this.#timer = this.#next();
  }

  /** A frame arrived. Cheap: the timer looks later. */
  heard(): void {
    this.#heardAt = performance.now();
  }

  /** Asks now, because another connection wants the name: one that is dead need not hold it until its deadline. */
  probe(withinMs = PROBE_MS): void {
    const { ping, readTimeoutMs, onSilent } = this.parts;
    if (ping === undefined || this.#probe !== undefined) return;
    const askedAt = performance.now();
    ping();
    const look = () => {
      this.#probe = undefined;
      if (this.#heardAt < askedAt) onSilent();
    };
    this.#probe = setTimeout(look, Math.min(withinMs, readTimeoutMs));
  }

  stop(): void {
    clearTimeout(this.#timer);
    clearTimeout(this.#probe);
  }

  #next(): Timer {
    const { readTimeoutMs, ping } = this.parts;
    const asks = ping !== undefined && this.#pingedFor !== this.#heardAt;
    const due = this.#heardAt + (asks ? readTimeoutMs / 2 : readTimeoutMs);
    return setTimeout(() => this.#check(), Math.max(1, Math.ceil(due - performance.now())));
  }

  #check(): void {
    const { readTimeoutMs, ping, onSilent } = this.parts;
    const silence = performance.now() - this.#heardAt;
    if (silence >= readTimeoutMs) {
      onSilent();
      return;
    }
    if (ping !== undefined && silence >= readTimeoutMs / 2 && this.#pingedFor !== this.#heardAt) {
      this.#pingedFor = this.#heardAt;
      ping();
    }
    this.#timer = this.#next();
  }
}
