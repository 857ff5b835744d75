// One connected client: its outgoing queue, its messages one after another, its deadlines, and a shutdown that happens exactly once
// for the first reason that comes (frames contract, section 7).

import type { EndOfTurn } from "../server/end-of-turn.ts";
import type { Allowance } from "./allowance.ts";
import { ClientClosedError, SendBufferFullError } from "./errors.ts";
import type { Frame } from "./frame.ts";
import { Heartbeat } from "./heartbeat.ts";
import { type Identity, isPermitted, type Permission } from "./identity.ts";
import { Inbox } from "./inbox.ts";
import { type Offer, Outbox, type Sink } from "./outbox.ts";
import type { Pace } from "./pace.ts";
import type { QueueBudget } from "./queue-budget.ts";
import { QueuedFrame } from "./queued-frame.ts";

/** The socket as a client uses it; the door's Peer is one. */
export interface Connection extends Sink {
  ping(): void;
  close(code: number, reason: string): void;
  closeWithin(withinMs: number, code: number, reason: string): void;
}

export interface CloseReason {
  readonly code: number;
  readonly reason: string;
}

/** The private codes let a client and a test tell the causes apart. */
export const closeReasons = {
  disconnected: { code: 1000, reason: "disconnected" },
  shutdown: { code: 1001, reason: "shutdown" },
  lost: { code: 1006, reason: "" },
  flooding: { code: 1008, reason: "too many messages" },
  replaced: { code: 4000, reason: "replaced" },
  tokenExpired: { code: 4001, reason: "token expired" },
  slow: { code: 4002, reason: "slow client" },
  /** The same for the client; but its memory is wanted back now. */
  overBudget: { code: 4002, reason: "slow client" },
  heartbeat: { code: 4003, reason: "heartbeat timeout" },
} as const satisfies Record<string, CloseReason>;

export interface ClientParts {
  readonly identity: Identity;
  readonly connection: Connection;
  /** What it may send. */
  readonly allowance: Allowance;
  readonly turn: EndOfTurn;
  readonly budget: QueueBudget;
  readonly pace: Pace;
  readonly capacity: number;
  readonly readTimeoutMs: number;
  readonly writeTimeoutMs: number;
  readonly serverPing: boolean;
  readonly closeOnExpiry: boolean;
  /** A message whose turn it is. Must not throw. */
  readonly handle: (client: Client, frame: string | Uint8Array) => void | Promise<void>;
  /** A frame was handed to the system. */
  readonly onSent: () => void;
  /** Called once, before the queue fails and the socket closes: the hub forgets the client. */
  readonly onShutdown: (client: Client) => void;
  /** Called once, when everything is done. */
  readonly onEnded: (client: Client, reason: CloseReason) => void;
}

/** Its socket takes nothing more. */
const UNREAD: readonly CloseReason[] = [closeReasons.slow, closeReasons.overBudget, closeReasons.lost];
/** A slow client may never read why it was closed. */
const SLOW_CLOSE_MS = 800;
/** Longest delay of a timer. */
const MAX_DELAY_MS = 2 ** 31 - 1;

export class Client {
  readonly #outbox: Outbox;
  readonly #inbox: Inbox<string | Uint8Array>;
  readonly #heartbeat: Heartbeat;
  #expiry: Timer | undefined;
  #abort: AbortController | undefined;
  #closed = false;

  constructor(private readonly parts: ClientParts) {
    const { connection, turn, budget, pace, capacity, writeTimeoutMs, readTimeoutMs, serverPing } = parts;
    this.#outbox = new Outbox({
      sink: connection,
      turn,
      budget,
      capacity,
      writeTimeoutMs,
      onSlow: () => this.shutdown(closeReasons.slow),
      onOverBudget: () => this.shutdown(closeReasons.overBudget),
      onLost: () => this.shutdown(closeReasons.lost),
      onSent: parts.onSent,
    });
    this.#inbox = new Inbox({ handle: (frame) => parts.handle(this, frame), budget, pace });
    this.#heartbeat = new Heartbeat({
      readTimeoutMs,
      ping: serverPing ? () => connection.ping() : undefined,
      onSilent: () => this.shutdown(closeReasons.heartbeat),
    });
    this.#awaitExpiry();
  }

  get id(): string {
    return this.parts.identity.id;
  }

  get identity(): Identity {
    return this.parts.identity;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Aborted when the client is gone. Made when a handler asks for it. */
  get signal(): AbortSignal {
    this.#abort ??= new AbortController();
    if (this.#closed) this.#abort.abort();
    return this.#abort.signal;
  }

  isPermitted(...anyOf: Permission[]): boolean {
    return isPermitted(this.parts.identity, anyOf);
  }

  /** @throws ClientClosedError, SendBufferFullError. Nothing is awaited: the frame is in the queue when this returns. */
  send(frame: Frame): void {
    const offer = this.offer(new QueuedFrame(frame));
    if (offer === "full") throw new SendBufferFullError();
    if (offer === "closed") throw new ClientClosedError();
  }

  /** As `send`, for a frame that many clients get, and without an error. */
  offer(frame: QueuedFrame): Offer {
    return this.#outbox.offer(frame);
  }

  get allowance(): Allowance {
    return this.parts.allowance;
  }

  /** A data frame arrived: it is handled when those before it are done. False when too many wait. */
  accept(frame: string | Uint8Array): boolean {
    this.#heartbeat.heard();
    return this.#closed || this.#inbox.accept(frame);
  }

  /** A protocol ping or pong arrived; it counts as life only where the server asks for it. */
  alive(): void {
    if (this.parts.serverPing) this.#heartbeat.heard();
  }

  /** Another connection wants its name: is it still there? */
  probe(): void {
    this.#heartbeat.probe();
  }

  drained(): void {
    this.#outbox.drained();
  }

  /** The first reason wins; later calls do nothing. */
  shutdown(reason: CloseReason): void {
    if (this.#closed) return;
    this.#closed = true;
    // What was sent in this turn precedes the close frame.
    if (!UNREAD.includes(reason)) this.#outbox.flush();
    const { connection, onShutdown, onEnded } = this.parts;
    this.#abort?.abort();
    this.#heartbeat.stop();
    clearTimeout(this.#expiry);
    this.#inbox.close();
    onShutdown(this);
    this.#outbox.close();
    if (reason === closeReasons.slow || reason === closeReasons.flooding)
      connection.closeWithin(SLOW_CLOSE_MS, reason.code, reason.reason);
    else if (reason === closeReasons.overBudget) connection.closeWithin(0, reason.code, reason.reason);
    else if (reason !== closeReasons.lost) connection.close(reason.code, reason.reason);
    onEnded(this, reason);
  }

  /** The peer closed, or the connection broke: there is no socket to close any more. */
  ended(code: number, reason: string): void {
    this.shutdown({ code, reason });
  }

  #awaitExpiry(): void {
    const { identity, closeOnExpiry } = this.parts;
    if (!closeOnExpiry || identity.claims === undefined) return;
    const left = identity.claims.exp * 1_000 - Date.now();
    if (left <= 0) this.#expiry = setTimeout(() => this.shutdown(closeReasons.tokenExpired), 0);
    else this.#expiry = setTimeout(() => this.#awaitExpiry(), Math.min(left, MAX_DELAY_MS));
  }
}
