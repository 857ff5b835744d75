// A part of the memory ceiling that consists of pieces, each somebody's: queues of sockets, frames on their way in. It knows its sum at
// any time, and gives up first what lies there without moving, then what is largest.
import { goesBefore, type MemoryCeiling, type MemoryUser, type NextPiece } from "./memory-ceiling.ts";

interface Piece {
  bytes: number;
  movedAt: number;
  readonly giveUp: () => void;
}

export class MemoryPieces implements MemoryUser {
  readonly #pieces = new Map<object, Piece>();
  #held = 0;

  constructor(
    readonly name: string,
    private readonly ceiling: MemoryCeiling,
    /** What tells that a client is at work: `falls`, its reader takes; `grows`, its sender brings. */
    private readonly moves: "falls" | "grows" = "falls",
    private readonly now: () => number = () => performance.now(),
  ) {
    ceiling.join(this);
  }

  held(): number {
    return this.#held;
  }

  /** How many hold something. */
  get size(): number {
    return this.#pieces.size;
  }

  /**
   * What `owner` holds now; 0 forgets it. When all parts together pass the ceiling, the largest pieces are given up at once: this
   * one may be among them. `giveUp` ends what holds the bytes and is called once. `isMoving`: its client is at work, though the bytes
   * do not show it.
   */
  set(owner: object, bytes: number, giveUp: () => void, isMoving = false): void {
    const piece = this.#pieces.get(owner);
    this.#held += bytes - (piece?.bytes ?? 0);
    if (bytes <= 0) this.#pieces.delete(owner);
    else if (piece === undefined) this.#pieces.set(owner, { bytes, giveUp, movedAt: this.now() });
    else {
      const grown = bytes > piece.bytes;
      if (isMoving || (this.moves === "grows" ? grown : bytes < piece.bytes)) piece.movedAt = this.now();
      piece.bytes = bytes;
      if (!grown) return;
    }
    if (bytes > 0 && !this.ceiling.fits(0)) this.ceiling.relieve();
  }

  /** So much more is on its way, nobody knows to whom: there is room for it, or the largest pieces are given up. */
  expect(bytes: number): void {
    if (!this.ceiling.fits(bytes)) this.ceiling.relieve(bytes);
  }

  forget(owner: object): void {
    const piece = this.#pieces.get(owner);
    if (piece === undefined) return;
    this.#pieces.delete(owner);
    this.#held -= piece.bytes;
  }

  next(): NextPiece | undefined {
    return this.#first()?.next;
  }

  giveUp(): number {
    const first = this.#first();
    if (first === undefined) return 0;
    this.forget(first.owner);
    first.piece.giveUp();
    return first.next.bytes;
  }

  #first(): { readonly owner: object; readonly piece: Piece; readonly next: NextPiece } | undefined {
    const now = this.now();
    let first: { readonly owner: object; readonly piece: Piece; readonly next: NextPiece } | undefined;
    for (const [owner, piece] of this.#pieces) {
      const next = { bytes: piece.bytes, stillMs: now - piece.movedAt };
      if (goesBefore(next, first?.next)) first = { owner, piece, next };
    }
    return first;
  }
}
