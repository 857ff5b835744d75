// One connection through the door: what the client's TLS socket brings goes to the listener inside, and back. Who does not read makes
// the other side wait, so that only what was read at one time lies here, and that counts as held memory. An end on one side becomes an
// end on the other, after what was on its way; a client that takes no end is cut off.
import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import type { MemoryPieces } from "../limits/memory-pieces.ts";

/** For the client to take what still lies here when the listener inside has closed: at most two pieces of what is read at one time. */
const REST_MS = 60_000;
/** For it to close, too, when it has been given everything. */
const LINGER_MS = 10_000;
/** For the listener inside to close when the client has ended its side: Bun does so at once. */
const HALF_OPEN_MS = 10_000;

export interface TlsLinkParts {
  readonly outer: TLSSocket;
  readonly inner: Socket;
  /** What lies in doors for those who do not read. */
  readonly waiting: MemoryPieces;
  /** Hears that bytes begin to wait here, or wait no more. */
  readonly blocked: (link: TlsLink, isBlocked: boolean) => void;
}

export class TlsLink {
  #outgoing = false;
  #incoming = false;
  #isOver = false;
  #innerHasEnded = false;
  #bound: Timer | undefined;

  /** Both are connected, and nobody has read from them yet. */
  constructor(private readonly parts: TlsLinkParts) {
    const { outer, inner } = parts;
    outer.on("data", (piece: Buffer) => {
      if (!this.#innerHasEnded) this.#pass(piece, outer, inner, "incoming");
    });
    inner.on("data", (piece: Buffer) => this.#pass(piece, inner, outer, "outgoing"));
    outer.once("end", () => {
      if (this.#innerHasEnded || this.#isOver) return;
      inner.end();
      this.#cutAfter(HALF_OPEN_MS);
    });
    inner.once("end", () => this.#innerEnded());
    inner.once("close", () => this.#innerEnded());
    outer.once("close", () => this.cut());
  }

  /** Bytes that were read on one side and not taken by the other. */
  get heldBytes(): number {
    const { outer, inner } = this.parts;
    return outer.readableLength + inner.writableLength + inner.readableLength + outer.writableLength;
  }

  /** Counts again what lies here: after a pause a piece that was being read still comes. */
  count(): void {
    if (this.#isOver) return;
    this.parts.waiting.set(this, this.#isBlocked ? this.heldBytes : 0, () => this.cut());
  }

  /** At once, in both directions. */
  cut(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#bound);
    this.parts.waiting.forget(this);
    this.parts.blocked(this, false);
    this.parts.inner.destroy();
    this.parts.outer.destroy();
  }

  get #isBlocked(): boolean {
    return this.#outgoing || this.#incoming;
  }

  #pass(piece: Buffer, from: Socket, to: Socket, way: "incoming" | "outgoing"): void {
    if (this.#isOver || to.destroyed || to.write(piece)) return;
    from.pause();
    this.#block(way, true);
    to.once("drain", () => {
      if (this.#isOver) return;
      this.#block(way, false);
      from.resume();
    });
  }

  #block(way: "incoming" | "outgoing", isBlocked: boolean): void {
    const was = this.#isBlocked;
    if (way === "incoming") this.#incoming = isBlocked;
    else this.#outgoing = isBlocked;
    if (was !== this.#isBlocked) this.parts.blocked(this, this.#isBlocked);
    this.count();
  }

  /** The client gets what is on its way, and the close. What it still sends is thrown away, or it would get a reset instead. */
  #innerEnded(): void {
    if (this.#innerHasEnded || this.#isOver) return;
    this.#innerHasEnded = true;
    const { outer } = this.parts;
    this.#incoming = false;
    outer.resume();
    this.#cutAfter(REST_MS);
    outer.end(() => {
      if (!this.#isOver) this.#cutAfter(LINGER_MS);
    });
  }

  #cutAfter(ms: number): void {
    clearTimeout(this.#bound);
    this.#bound = setTimeout(() => this.cut(), ms);
    this.#bound.unref();
  }
}
