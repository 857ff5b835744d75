// One connection through the door: what the client's TLS socket brings goes to the listener inside, and back. Who does not read makes
// the other side wait, so that only what was read at one time lies here, and that counts as held memory. An end on one side becomes an
// end on the other, after what was on its way; a client that takes no end is cut off.
import type { TLSSocket } from "node:tls";
import type { MemoryPieces } from "../limits/memory-pieces.ts";
import { InnerConnection } from "./tls-door-inner.ts";

/** For the client to take what still lies here when the listener inside has closed: at most two pieces of what is read at one time. */
const REST_MS = 60_000;
/** For it to close, too, when it has been given everything. */
const LINGER_MS = 10_000;
/** For the listener inside to close when the client has ended its side: Bun does so at once. */
const HALF_OPEN_MS = 10_000;

export interface TlsLinkParts {
  readonly outer: TLSSocket;
  readonly innerPort: number;
  /** Hears of the port that it has inside, before anything goes there; false when it must have another one. */
  readonly entered: (localPort: number) => boolean;
  /** It is closed inside; with no port where it never was open, and with `isRefused` where it must have another one. */
  readonly left: (localPort: number | undefined, isRefused: boolean, error: Error | undefined) => void;
  /** What lies in doors for those who do not read. */
  readonly waiting: MemoryPieces;
  /** Hears that bytes begin to wait here, or wait no more. */
  readonly blocked: (link: TlsLink, isBlocked: boolean) => void;
}

export class TlsLink {
  readonly #inner: InnerConnection;
  #localPort: number | undefined;
  #outgoing = false;
  #incoming = false;
  #isOver = false;
  #innerHasEnded = false;
  #bound: Timer | undefined;

  /** Nobody has read from the client yet. */
  constructor(private readonly parts: TlsLinkParts) {
    const { outer } = parts;
    const gone = () => this.cut();
    outer.once("close", gone);
    this.#inner = new InnerConnection(parts.innerPort, {
      opened: (localPort) => {
        if (this.#isOver) return false;
        if (!parts.entered(localPort)) {
          this.#isOver = true;
          outer.off("close", gone);
          parts.left(undefined, true, undefined);
          return false;
        }
        this.#localPort = localPort;
        this.#begin();
        return true;
      },
      data: (piece) => this.#outward(piece),
      drained: () => this.#release("incoming"),
      ended: () => this.#innerEnded(),
      closed: (error) => {
        parts.left(this.#localPort, false, error);
        if (this.#localPort === undefined) this.cut();
        else this.#innerEnded();
      },
    });
  }

  /** Bytes that were read on one side and not taken by the other. */
  get heldBytes(): number {
    const { outer } = this.parts;
    return outer.readableLength + this.#inner.heldBytes + outer.writableLength;
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
    this.#inner.destroy();
    this.parts.outer.destroy();
  }

  get #isBlocked(): boolean {
    return this.#outgoing || this.#incoming;
  }

  #begin(): void {
    const { outer } = this.parts;
    outer.on("data", (piece: Buffer) => this.#inward(piece));
    outer.on("drain", () => this.#release("outgoing"));
    outer.once("end", () => {
      if (this.#innerHasEnded || this.#isOver) return;
      this.#inner.end();
      this.#cutAfter(HALF_OPEN_MS);
    });
  }

  #inward(piece: Buffer): void {
    // What comes after the end inside is thrown away, or the client would get a reset instead of its answer.
    if (this.#innerHasEnded || this.#isOver || this.#inner.write(piece)) return;
    this.parts.outer.pause();
    this.#block("incoming", true);
  }

  #outward(piece: Buffer): void {
    const { outer } = this.parts;
    if (this.#isOver || outer.destroyed || outer.write(piece)) return;
    this.#inner.pause();
    this.#block("outgoing", true);
  }

  #release(way: "incoming" | "outgoing"): void {
    if (this.#isOver) return;
    this.#block(way, false);
    if (way === "incoming") this.parts.outer.resume();
    else this.#inner.resume();
  }

  #block(way: "incoming" | "outgoing", isBlocked: boolean): void {
    const was = this.#isBlocked;
    if (way === "incoming") this.#incoming = isBlocked;
    else this.#outgoing = isBlocked;
    if (was !== this.#isBlocked) this.parts.blocked(this, this.#isBlocked);
    if (was || isBlocked) this.count();
  }

  /** The client gets what is on its way, and the close. */
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
